#include "base/crc32c.h"

#include <array>

#include "base/bytes.h"

namespace longhaul {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78u;  // reflected

using Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Tables MakeTables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    }
    tables[0][byte] = crc;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

#ifdef __x86_64__
// By the processor's own instruction for this polynomial.
[[gnu::target("sse4.2")]] uint32_t Hardware(const uint8_t* p, size_t size) {
  uint64_t crc = ~0u;
  for (; size >= 8; size -= 8, p += 8) {
    crc = __builtin_ia32_crc32di(crc, LoadLittle<uint64_t>(p));
  }
  auto rest = static_cast<uint32_t>(crc);
  for (; size > 0; --size, ++p) rest = __builtin_ia32_crc32qi(rest, *p);
  return ~rest;
}

const bool kHasHardware = __builtin_cpu_supports("sse4.2") != 0;
#endif

}  // namespace

uint32_t Crc32cPortable(const void* data, size_t size) {
  const auto* p = static_cast<const uint8_t*>(data);
  uint32_t crc = ~0u;
  for (; size >= 8; size -= 8, p += 8) {
    const uint64_t word = LoadLittle<uint64_t>(p) ^ crc;
    crc = 0;
    for (size_t k = 0; k < 8; ++k) {
      crc ^= kTables[7 - k][(word >> (8 * k)) & 0xff];
    }
  }
  for (; size > 0; --size, ++p) {
    crc = (crc >> 8) ^ kTables[0][(crc ^ *p) & 0xff];
  }
  return ~crc;
}

uint32_t Crc32c(const void* data, size_t size) {
#ifdef __x86_64__
  if (kHasHardware) return Hardware(static_cast<const uint8_t*>(data), size);
#endif
  return Crc32cPortable(data, size);
}

}  // namespace longhaul
