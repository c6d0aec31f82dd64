// Every kernel of the codecs, in vectors of LH_WIDTH bytes: the body of
// kernels_*.cc, which define LH_WIDTH and LH_KERNELS (the name of the table)
// and include this.
//
// Compiled once per target, by the rules of src/compute: all code is internal
// to the including source, lanes are computed alone and in the default float
// mode, so that all targets give the same bits
// (docs/adr/0003-simd-by-translation-unit.md).

#include "codec/block_quant.inl"
#include "codec/cast.inl"

#undef LH_INLINE

namespace longhaul {
namespace {

template <typename Bits, typename Element>
constexpr CodecKernels::Quantisers kQuantise = {
    {{Quantise<Bits, Element, false, false>,
      Quantise<Bits, Element, false, true>},
     {Quantise<Bits, Element, true, false>,
      Quantise<Bits, Element, true, true>}}};

}  // namespace

extern const CodecKernels LH_KERNELS;
constexpr CodecKernels LH_KERNELS = {
    LH_NAME,
    {{nullptr, nullptr},
     {Narrow<F16Element, false>, Narrow<F16Element, true>},
     {Narrow<Bf16Element, false>, Narrow<Bf16Element, true>}},
    {{Widen<F32Element, StoreF32>, Widen<F32Element, AddF32>},
     {Widen<F16Element, StoreF32>, Widen<F16Element, AddF32>},
     {Widen<Bf16Element, StoreF32>, Widen<Bf16Element, AddF32>}},
    {{kQuantise<Eight, F32Element>, kQuantise<Eight, F16Element>,
      kQuantise<Eight, Bf16Element>},
     {kQuantise<Four, F32Element>, kQuantise<Four, F16Element>,
      kQuantise<Four, Bf16Element>},
     {kQuantise<E4m3, F32Element>, kQuantise<E4m3, F16Element>,
      kQuantise<E4m3, Bf16Element>},
     {kQuantise<E5m2, F32Element>, kQuantise<E5m2, F16Element>,
      kQuantise<E5m2, Bf16Element>}},
    {{Dequantise<Eight, StoreF32>, Dequantise<Eight, AddF32>,
      Dequantise<Eight, StoreF16>, Dequantise<Eight, StoreBf16>},
     {Dequantise<Four, StoreF32>, Dequantise<Four, AddF32>,
      Dequantise<Four, StoreF16>, Dequantise<Four, StoreBf16>},
     {Dequantise<E4m3, StoreF32>, Dequantise<E4m3, AddF32>,
      Dequantise<E4m3, StoreF16>, Dequantise<E4m3, StoreBf16>},
     {Dequantise<E5m2, StoreF32>, Dequantise<E5m2, AddF32>,
      Dequantise<E5m2, StoreF16>, Dequantise<E5m2, StoreBf16>}},
};

}  // namespace longhaul
