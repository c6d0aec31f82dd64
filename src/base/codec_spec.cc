#include <longhaul/codec.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <optional>
#include <span>

#include "base/parse.h"
#include "base/text.h"

namespace longhaul {
namespace {

constexpr std::array<std::string_view, 5> kCodecNames = {"none", "bf16", "f16",
                                                         "int8", "int4"};
constexpr std::string_view kLosslessName = "lossless";
constexpr std::string_view kAutoName = "auto";
constexpr std::array<std::string_view, 2> kRoundingNames = {"nearest",
                                                            "stochastic"};
constexpr std::array<std::string_view, 2> kParameterNames = {"block",
                                                             "rounding"};

bool HasBlocks(CodecId id) {
  return id == CodecId::kInt8 || id == CodecId::kInt4;
}

bool ValidBlock(int64_t block) {
  return block >= CodecSpec::kLeastBlock && block <= CodecSpec::kLargestBlock &&
         std::has_single_bit(static_cast<uint64_t>(block));
}

std::optional<size_t> Find(std::span<const std::string_view> names,
                           std::string_view name) {
  for (size_t i = 0; i < names.size(); ++i) {
    if (EqualIgnoringCase(names[i], name)) return i;
  }
  return {};
}

Status Bad(std::string text) {
  return {StatusCode::kInvalidArgument, "codec: " + std::move(text)};
}

// "no codec is called 'int9'; did you mean 'int8'? There are: none, bf16, ..."
Status Unknown(const char* what, std::string_view name,
               std::span<const std::string_view> known) {
  std::string text = std::string(what) + " '" + std::string(name) + "'";
  const std::string_view nearest = NearestName(name, known);
  if (!nearest.empty()) {
    text += "; did you mean '" + std::string(nearest) + "'?";
  } else {
    text += ";";
  }
  text += " There are: ";
  for (const std::string_view each : known) {
    if (each != known.front()) text += ", ";
    text += each;
  }
  return Bad(std::move(text));
}

Status SetBlock(CodecSpec& spec, std::string_view value) {
  const std::optional<int64_t> block = ParseInteger(value);
  if (!block || !ValidBlock(*block)) {
    return Bad(Text("block '%.*s' of %s is not a power of two from %d to %d",
                    static_cast<int>(value.size()), value.data(),
                    NameOf(spec.id), int{CodecSpec::kLeastBlock},
                    int{CodecSpec::kLargestBlock}));
  }
  spec.block = static_cast<uint16_t>(*block);
  return {};
}

Status SetRounding(CodecSpec& spec, std::string_view value) {
  const std::optional<size_t> rounding = Find(kRoundingNames, value);
  if (!rounding) return Unknown("no rounding is called", value, kRoundingNames);
  spec.rounding = static_cast<CodecRounding>(*rounding);
  return {};
}

// One `name=value`; `seen` has a bit per parameter that was there before.
Status SetParameter(CodecSpec& spec, std::string_view text, unsigned& seen) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos) {
    return Bad("'" + std::string(text) + "' is not of the form name=value");
  }
  const std::string_view name = Trim(text.substr(0, equals));
  const std::string_view value = Trim(text.substr(equals + 1));
  const std::optional<size_t> parameter = Find(kParameterNames, name);
  if (!parameter) {
    return Unknown("no parameter is called", name, kParameterNames);
  }
  if ((seen >> *parameter & 1U) != 0) {
    return Bad("'" + std::string(kParameterNames[*parameter]) +
               "' is given twice");
  }
  seen |= 1U << *parameter;
  return *parameter == 0 ? SetBlock(spec, value) : SetRounding(spec, value);
}

// "0.01", "1%".
Result<CodecSpec> ParseAuto(std::string_view bound) {
  const bool percent = !bound.empty() && bound.back() == '%';
  if (percent) bound.remove_suffix(1);
  const std::optional<double> number = ParseNumber(Trim(bound));
  const double error = number ? *number * (percent ? 0.01 : 1) : -1;
  if (!(error >= 0 && error <= 1)) {
    return Bad(
        "auto needs the relative error that a result may have, from 0 to 1, as "
        "in auto:0.01 or auto:1%");
  }
  CodecSpec spec;
  spec.id = CodecId::kAuto;
  spec.max_error = static_cast<uint32_t>(std::lround(error * 1e6));
  return spec;
}

}  // namespace

const char* NameOf(CodecId id) noexcept {
  if (id == CodecId::kAuto) return kAutoName.data();
  const auto index = static_cast<size_t>(id);
  return index < kCodecNames.size() ? kCodecNames[index].data() : "?";
}

const char* NameOf(CodecRounding rounding) noexcept {
  const auto index = static_cast<size_t>(rounding);
  return index < kRoundingNames.size() ? kRoundingNames[index].data() : "?";
}

CodecSpec CodecSpec::Of(CodecId id) noexcept {
  CodecSpec spec;
  spec.id = id;
  if (id == CodecId::kInt8) spec.block = 64;
  if (id == CodecId::kInt4) spec.block = 32;
  return spec;
}

Result<CodecSpec> CodecSpec::Parse(std::string_view text) {
  const size_t colon = text.find(':');
  const std::string_view name = Trim(text.substr(0, colon));
  if (EqualIgnoringCase(name, kAutoName)) {
    return ParseAuto(colon == std::string_view::npos
                         ? std::string_view()
                         : Trim(text.substr(colon + 1)));
  }
  const std::optional<size_t> id = Find(kCodecNames, name);
  if (!id) return Unknown("no codec is called", name, kCodecNames);
  CodecSpec spec = Of(static_cast<CodecId>(*id));
  if (colon == std::string_view::npos) return spec;
  if (!HasBlocks(spec.id)) {
    return Bad(std::string(NameOf(spec.id)) + " takes no parameters");
  }
  unsigned seen = 0;
  for (const std::string_view part : Split(text.substr(colon + 1), ',')) {
    Status status = SetParameter(spec, part, seen);
    if (!status.ok()) return status;
  }
  return spec;
}

std::string CodecSpec::ToString() const {
  if (id == CodecId::kAuto) return Text("auto:%g", MaxError());
  const CodecSpec usual = Of(id);
  std::string text = NameOf(id);
  char separator = ':';
  if (block != usual.block) {
    text += separator + std::string("block=") + std::to_string(block);
    separator = ',';
  }
  if (rounding != usual.rounding) {
    text += separator + std::string("rounding=") + NameOf(rounding);
  }
  return text;
}

double CodecSpec::TypicalError() const noexcept {
  const double stochastic = rounding == CodecRounding::kStochastic ? 1.42 : 1;
  const double blocks = std::log2(block == 0 ? 1.0 : block) - 5;
  switch (id) {
    case CodecId::kBf16:
      return 0.0017;
    case CodecId::kF16:
      return 0.0002;
    case CodecId::kInt8:
      return stochastic * (0.0053 + 0.0005 * blocks);
    case CodecId::kInt4:
      return stochastic * (0.097 + 0.009 * blocks);
    case CodecId::kNone:
    case CodecId::kAuto:
      break;
  }
  return 0;
}

bool CodecSpec::Valid() const noexcept {
  if (id == CodecId::kAuto) {
    return max_error <= 1'000'000 && block == 0 &&
           rounding == CodecRounding::kNearest;
  }
  if (HasBlocks(id)) {
    return ValidBlock(block) && rounding <= CodecRounding::kStochastic;
  }
  return id <= CodecId::kF16 && block == 0 &&
         rounding == CodecRounding::kNearest;
}

uint64_t CodecSpec::Word() const noexcept {
  return uint64_t{static_cast<uint8_t>(id)} |
         uint64_t{static_cast<uint8_t>(rounding)} << 8 | uint64_t{block} << 16 |
         uint64_t{max_error} << 32;
}

}  // namespace longhaul
