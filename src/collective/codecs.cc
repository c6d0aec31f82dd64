#include "collective/codecs.h"

#include "collective/schedule.h"

namespace longhaul {

Codecs::Codecs(const CodecSpec& spec) : spec_(spec) {
  if (spec.id == CodecId::kNone) return;
  for (size_t type = 0; type < by_type_.size(); ++type) {
    const Result<Codec> codec =
        Codec::Create(spec, static_cast<DataType>(type));
    if (codec.ok()) by_type_[type] = *codec;
  }
}

const Codec* Codecs::For(DataType type, ReduceOp op) const {
  if (op != ReduceOp::kSum && op != ReduceOp::kAvg) return nullptr;
  const std::optional<Codec>& codec = by_type_[static_cast<size_t>(type)];
  return codec ? &*codec : nullptr;
}

const Codec* Codecs::ForFeedback() const {
  const std::optional<Codec>& codec =
      by_type_[static_cast<size_t>(DataType::kFloat32)];
  return codec ? &*codec : nullptr;
}

double CodeShare(const Codec& codec) {
  constexpr size_t kMany = kCodeGrain << 10;
  return static_cast<double>(codec.EncodedSize(kMany)) /
         static_cast<double>(kMany * SizeOf(codec.type()));
}

}  // namespace longhaul
