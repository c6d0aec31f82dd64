// The rows behind Options: what each option is called, how its text is read
// and into which field. The one place to add an option.
//
// Any thread.
#pragma once

#include <longhaul/options.h>

#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace longhaul {

/// Where a value goes; the field's type and the row's OptionType together say
/// how it is read.
using OptionField = std::variant<
    std::string Options::*, bool Options::*, uint64_t Options::*,
    std::optional<uint64_t> Options::*, std::optional<int32_t> Options::*,
    std::chrono::nanoseconds Options::*,
    std::optional<std::chrono::nanoseconds> Options::*,
    std::optional<PortRange> Options::*, InterfaceList Options::*,
    std::vector<PathRule> Options::*, RateLimits Options::*,
    std::optional<uint8_t> Options::*, AddressFamily Options::*,
    Algorithm Options::*, LogLevel Options::*, CodecSpec Options::*>;

/// One per row of Options::Table(), in its order.
std::span<const OptionField> OptionFields() noexcept;

/// "one of auto, ring, sharded", "bytes or a number with K, M, ...": what
/// `option` accepts, with an example, for refusals and help.
std::string AcceptedForm(const OptionInfo& option);

/// The row called `name` (variable or key, any case), or -1.
int FindOption(std::string_view name) noexcept;

/// Reads `value` into row `row` of `options`. `source` is the variable blamed
/// in a refusal.
Status SetOption(int row, std::string_view source, std::string_view value,
                 Options* options);
/// The value of a row, as SetOption reads it.
std::string OptionText(int row, const Options& options);

}  // namespace longhaul
