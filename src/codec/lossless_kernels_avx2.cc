// AVX2; flags in targets.cmake.
#ifdef __x86_64__
#include <immintrin.h>
#define LH_WIDTH 32
#define LH_NAME "avx2"
#define LH_KERNELS kAvx2LosslessKernels
#include "codec/lossless_kernels.inl"
#endif
