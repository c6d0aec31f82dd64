// Every processor: no intrinsics.
#define LH_WIDTH 16
#define LH_NAME "baseline"
#define LH_KERNELS kBaselineLosslessKernels
#include "codec/lossless_kernels.inl"
