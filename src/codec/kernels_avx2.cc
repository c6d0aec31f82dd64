// AVX2 and F16C; flags in targets.cmake.
#ifdef __x86_64__
#include <immintrin.h>
#define LH_WIDTH 32
#define LH_NAME "avx2"
#define LH_KERNELS kAvx2CodecKernels
#include "codec/kernels.inl"
#endif
