#include "plugin_stream/meeting.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <set>
#include <string>
#include <utility>

#include "base/text.h"

namespace longhaul::bench {
namespace {

constexpr size_t kSiteRoom = 64;  // bytes of a site's name, the final 0 too

}  // namespace

Result<Star> Meeting::Join(const Options& options) {
  return Star::Join(options);
}

Meeting::Meeting(Star star, std::string site)
    : star_(std::move(star)), site_(std::move(site)) {
  std::vector<std::byte> name(kSiteRoom);
  std::memcpy(name.data(), site_.data(), std::min(site_.size(), kSiteRoom - 1));
  const auto names = Gather(name);
  if (!names.ok()) return;  // the next to ask will see it
  std::set<std::string> different;
  for (const std::vector<std::byte>& bytes : *names) {
    different.emplace(reinterpret_cast<const char*>(bytes.data()));
  }
  sites_ = static_cast<int>(different.size());
}

Status Meeting::Start(const void* /*input*/, void* /*output*/, size_t /*count*/,
                      DataType /*type*/, ReduceOp /*op*/) {
  return {StatusCode::kUnsupported, "this program does not reduce"};
}

Status Meeting::StartBarrier() {
  uint8_t token = 0;
  return Combine(&token, 1, DataType::kUint8, ReduceOp::kSum);
}

Status Meeting::Combine(void* data, size_t count, DataType type, ReduceOp op) {
  return star_.Combine(data, count, type, op);
}

Result<std::vector<std::vector<std::byte>>> Meeting::Gather(
    std::span<const std::byte> own) {
  std::vector<std::byte> all(static_cast<size_t>(size()) * own.size());
  std::copy(
      own.begin(), own.end(),
      all.begin() + static_cast<ptrdiff_t>(own.size()) * ptrdiff_t{rank()});
  const Status status =
      Combine(all.data(), all.size(), DataType::kUint8, ReduceOp::kSum);
  if (!status.ok()) return status;
  std::vector<std::vector<std::byte>> pieces;
  for (size_t at = 0; at < all.size(); at += own.size()) {
    const auto begin = all.begin() + static_cast<ptrdiff_t>(at);
    pieces.emplace_back(begin, begin + static_cast<ptrdiff_t>(own.size()));
  }
  return pieces;
}

Status StatusOf(nccl::abi::ResultCode code, const char* what) {
  if (code == nccl::abi::ResultCode::kSuccess) return {};
  return {StatusCode::kInternal,
          Text("%s: the plugin says %d", what, static_cast<int>(code))};
}

void PrintWarnings(nccl::abi::LogLevel level, uint64_t /*flags*/,
                   const char* /*file*/, int /*line*/, const char* format,
                   ...) {
  if (level != nccl::abi::LogLevel::kWarn) return;
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fputc('\n', stderr);
}

}  // namespace longhaul::bench
