// Every processor of the architecture: SSE2 on x86-64, Advanced SIMD on Arm.
#ifdef __x86_64__
#include <emmintrin.h>
#endif
#define LH_WIDTH 16
#define LH_NAME "baseline"
#define LH_KERNELS kBaselineLosslessKernels
#include "codec/lossless_kernels.inl"
