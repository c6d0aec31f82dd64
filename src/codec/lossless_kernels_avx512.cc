// AVX-512 F, BW, VL, DQ; flags in targets.cmake.
#ifdef __x86_64__
#include <immintrin.h>
#define LH_WIDTH 64
#define LH_NAME "avx512"
#define LH_KERNELS kAvx512LosslessKernels
#include "codec/lossless_kernels.inl"
#endif
