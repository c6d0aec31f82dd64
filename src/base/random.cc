#include "base/random.h"

#include <sys/random.h>

#include <array>
#include <cerrno>

#include "base/bytes.h"
#include "base/check.h"

namespace longhaul {

void FillRandom(std::span<uint8_t> out) {
  while (!out.empty()) {
    const ssize_t got = ::getrandom(out.data(), out.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    LH_CHECK(got > 0);
    out = out.subspan(static_cast<size_t>(got));
  }
}

uint64_t RandomU64() {
  std::array<uint8_t, 8> bytes;
  FillRandom(bytes);
  return LoadLittle<uint64_t>(bytes.data());
}

}  // namespace longhaul
