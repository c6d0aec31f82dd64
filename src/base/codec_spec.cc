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

constexpr std::array<std::string_view, 8> kCodecNames = {
    "none", "bf16", "f16", "int8", "int4", "e4m3", "e5m2", "lossless"};
constexpr std::array<CodecId, kCodecNames.size()> kCodecIds = {
    CodecId::kNone, CodecId::kBf16,    CodecId::kF16,     CodecId::kInt8,
    CodecId::kInt4, CodecId::kFp8E4m3, CodecId::kFp8E5m2, CodecId::kLossless};
constexpr std::string_view kAutoName = "auto";
constexpr std::array<std::string_view, 2> kRoundingNames = {"nearest",
                                                            "stochastic"};
constexpr std::array<std::string_view, 3> kParameterNames = {
    "block", "rounding", "rotate"};

bool HasBlocks(CodecId id) {
  return id >= CodecId::kInt8 && id <= CodecId::kFp8E5m2;
}

bool MayRotate(CodecId id) {
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

Status NoValue(std::string_view text) {
  return Bad("'" + std::string(text) + "' is not of the form name=value");
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

Status SetRotate(CodecSpec& spec, std::optional<std::string_view> value) {
  if (value) {
    return Bad("'rotate' takes no value; it is there or not");
  }
  if (!MayRotate(spec.id)) {
    return Bad(std::string(NameOf(spec.id)) +
               " takes no 'rotate', int8 and int4 do");
  }
  spec.rotate = true;
  return {};
}

// One `name=value`, or `rotate`; `seen` has a bit per parameter that was there
// before.
Status SetParameter(CodecSpec& spec, std::string_view text, unsigned& seen) {
  const size_t equals = text.find('=');
  const std::string_view name = Trim(text.substr(0, equals));
  std::optional<std::string_view> value;
  if (equals != std::string_view::npos) value = Trim(text.substr(equals + 1));
  if (name.empty()) return NoValue(text);
  const std::optional<size_t> parameter = Find(kParameterNames, name);
  if (!parameter) {
    return Unknown("no parameter is called", name, kParameterNames);
  }
  if ((seen >> *parameter & 1U) != 0) {
    return Bad("'" + std::string(kParameterNames[*parameter]) +
               "' is given twice");
  }
  seen |= 1U << *parameter;
  if (*parameter == 2) return SetRotate(spec, value);
  if (!value) return NoValue(text);
  return *parameter == 0 ? SetBlock(spec, *value) : SetRounding(spec, *value);
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
  const auto* const at = std::find(kCodecIds.begin(), kCodecIds.end(), id);
  return at == kCodecIds.end()
             ? "?"
             : kCodecNames[static_cast<size_t>(at - kCodecIds.begin())].data();
}

const char* NameOf(CodecRounding rounding) noexcept {
  const auto index = static_cast<size_t>(rounding);
  return index < kRoundingNames.size() ? kRoundingNames[index].data() : "?";
}

CodecSpec CodecSpec::Of(CodecId id) noexcept {
  CodecSpec spec;
  spec.id = id;
  if (HasBlocks(id)) spec.block = 64;
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
  CodecSpec spec = Of(kCodecIds[*id]);
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
    separator = ',';
  }
  if (rotate) text += separator + std::string("rotate");
  return text;
}

bool CodecSpec::Valid() const noexcept {
  if (id == CodecId::kAuto) {
    return max_error <= 1'000'000 && block == 0 && !rotate &&
           rounding == CodecRounding::kNearest;
  }
  if (HasBlocks(id)) {
    return ValidBlock(block) && max_error == 0 &&
           rounding <= CodecRounding::kStochastic && (!rotate || MayRotate(id));
  }
  const bool known = id <= CodecId::kF16 || id == CodecId::kLossless;
  return known && max_error == 0 && block == 0 &&
         rounding == CodecRounding::kNearest && !rotate;
}

uint64_t CodecSpec::Word() const noexcept {
  return uint64_t{static_cast<uint8_t>(id)} |
         uint64_t{static_cast<uint8_t>(rounding)} << 8 | uint64_t{block} << 16 |
         uint64_t{rotate ? 1U : 0U} << 31 | uint64_t{max_error} << 32;
}

double CodecSpec::TypicalError() const noexcept {
  // The mean square of the largest of 32, 64, 128 and 256 such elements, in
  // standard deviations; rotated ones are distributed alike.
  constexpr std::array<double, 4> kLargestSquare = {5.7, 7.0, 8.3, 9.6};
  constexpr double kOfBf16 = 0.00167;
  constexpr double kOfF16 = kOfBf16 / 8;
  if (id == CodecId::kBf16) return kOfBf16;
  if (id == CodecId::kF16) return kOfF16;
  if (!HasBlocks(id) || !Valid()) return 0;
  // An error is uniform over one scale, or the distance of two floats; chance
  // doubles its variance.
  const double chance = rounding == CodecRounding::kStochastic ? 2 : 1;
  if (id == CodecId::kFp8E4m3) return kOfBf16 * 16 * std::sqrt(chance);
  if (id == CodecId::kFp8E5m2) return kOfBf16 * 32 * std::sqrt(chance);
  const auto row = static_cast<size_t>(std::countr_zero(block)) - 5;
  const double codes = id == CodecId::kInt8 ? 127 : 7;
  return std::sqrt(kLargestSquare[row] * chance / 12) / codes;
}

}  // namespace longhaul
