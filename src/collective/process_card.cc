#include "collective/process_card.h"

#include <algorithm>
#include <string_view>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/text.h"

namespace longhaul {
namespace {

constexpr uint32_t kMagic = 0x4350484cu;  // "LHPC"
constexpr size_t kChecksumAt = 4;
constexpr size_t kBodyAt = 8;
constexpr size_t kFixedSize = 68;  // up to the names
constexpr size_t kAddressSize = 20;
constexpr uint8_t kWanAccess = 1;

Status Corrupt(const char* what) {
  return {StatusCode::kCorrupt, Text("process card: %s", what),
          FaultScope::kCommunicator};
}

// Names end up in terminals.
bool IsPlain(std::string_view name) {
  return std::none_of(name.begin(), name.end(), [](char c) {
    return static_cast<uint8_t>(c) < 0x20 || c == 0x7f;
  });
}

void EncodeAddress(const Address& address, uint8_t* out) {
  out[0] = static_cast<uint8_t>(address.family);
  out[1] = 0;
  StoreLittle<uint16_t>(out + 2, address.port);
  std::copy(address.bytes.begin(), address.bytes.end(), out + 4);
}

Address DecodeAddress(const uint8_t* in) {
  Address address;
  address.family = static_cast<AddressFamily>(in[0]);
  address.port = LoadLittle<uint16_t>(in + 2);
  std::copy_n(in + 4, address.bytes.size(), address.bytes.begin());
  return address;
}

// Behind the addresses: for each a length, and as many bytes.
void EncodeLabels(const ProcessCard& card, size_t addresses,
                  std::vector<uint8_t>* out) {
  for (size_t i = 0; i < addresses; ++i) {
    const std::string label = i < card.labels.size() ? card.labels[i] : "";
    const size_t size = std::min(label.size(), kMaxCardLabel);
    out->push_back(static_cast<uint8_t>(size));
    out->insert(out->end(), label.begin(),
                label.begin() + static_cast<std::ptrdiff_t>(size));
  }
}

// Cards of versions without labels end before them.
bool DecodeLabels(std::span<const uint8_t> in, ProcessCard* card) {
  card->labels.resize(card->addresses.size());
  if (in.empty()) return true;
  for (std::string& label : card->labels) {
    if (in.empty() || in[0] > kMaxCardLabel || in.size() - 1 < in[0]) {
      return false;
    }
    const size_t size = in[0];
    label.assign(reinterpret_cast<const char*>(in.data()) + 1, size);
    in = in.subspan(1 + size);
  }
  return true;
}

// As Address makes them, so that equal addresses compare equal.
bool IsUsable(const Address& address) {
  if (address.port == 0 || address.IsAny()) return false;
  if (address.family == AddressFamily::kIpv6) return true;
  return address.family == AddressFamily::kIpv4 &&
         std::all_of(address.bytes.begin() + 4, address.bytes.end(),
                     [](uint8_t byte) { return byte == 0; });
}

}  // namespace

std::vector<uint8_t> EncodeCard(const ProcessCard& card) {
  const size_t host = std::min(card.host.size(), kMaxCardName);
  const size_t site = std::min(card.site.size(), kMaxCardName);
  const size_t addresses = std::min(card.addresses.size(), kMaxCardAddresses);
  std::vector<uint8_t> bytes(kFixedSize + host + site +
                             addresses * kAddressSize);
  uint8_t* p = bytes.data();
  StoreLittle<uint32_t>(p, kMagic);
  StoreLittle<uint16_t>(p + 8, card.version_min);
  StoreLittle<uint16_t>(p + 10, card.version_max);
  StoreLittle<uint64_t>(p + 12, card.capabilities);
  StoreLittle<uint64_t>(p + 20, card.incarnation);
  StoreLittle<uint32_t>(p + 28, card.pid);
  p[32] = card.wan_access ? kWanAccess : 0;
  p[33] = static_cast<uint8_t>(host);
  p[34] = static_cast<uint8_t>(site);
  p[35] = static_cast<uint8_t>(addresses);
  StoreLittle<uint64_t>(p + 36, card.topology);
  StoreLittle<uint64_t>(p + 44, card.door.job);
  std::copy(card.door.key.begin(), card.door.key.end(), p + 52);
  p = std::copy_n(card.host.begin(), host, p + kFixedSize);
  p = std::copy_n(card.site.begin(), site, p);
  for (size_t i = 0; i < addresses; ++i, p += kAddressSize) {
    EncodeAddress(card.addresses[i], p);
  }
  EncodeLabels(card, addresses, &bytes);
  StoreLittle<uint32_t>(bytes.data() + kChecksumAt,
                        Crc32c(bytes.data() + kBodyAt, bytes.size() - kBodyAt));
  return bytes;
}

Result<ProcessCard> DecodeCard(std::span<const uint8_t> bytes) {
  const uint8_t* p = bytes.data();
  if (bytes.size() < kFixedSize) return Corrupt("too short");
  if (LoadLittle<uint32_t>(p) != kMagic) return Corrupt("wrong magic");
  if (LoadLittle<uint32_t>(p + kChecksumAt) !=
      Crc32c(p + kBodyAt, bytes.size() - kBodyAt)) {
    return Corrupt("wrong checksum");
  }
  const size_t host = p[33];
  const size_t site = p[34];
  const size_t addresses = p[35];
  if (addresses > kMaxCardAddresses ||
      bytes.size() < kFixedSize + host + site + addresses * kAddressSize) {
    return Corrupt("lengths beyond its end");
  }
  ProcessCard card;
  card.version_min = LoadLittle<uint16_t>(p + 8);
  card.version_max = LoadLittle<uint16_t>(p + 10);
  card.capabilities = LoadLittle<uint64_t>(p + 12);
  card.incarnation = LoadLittle<uint64_t>(p + 20);
  card.pid = LoadLittle<uint32_t>(p + 28);
  card.wan_access = (p[32] & kWanAccess) != 0;
  card.topology = LoadLittle<uint64_t>(p + 36);
  card.door.job = LoadLittle<uint64_t>(p + 44);
  std::copy_n(p + 52, card.door.key.size(), card.door.key.begin());
  const char* names = reinterpret_cast<const char*>(p + kFixedSize);
  card.host.assign(names, host);
  card.site.assign(names + host, site);
  if (card.incarnation == 0) return Corrupt("no incarnation");
  if (card.version_min == 0 || card.version_min > card.version_max) {
    return Corrupt("a version range without versions");
  }
  if (!IsPlain(card.host) || !IsPlain(card.site)) {
    return Corrupt("a name with control characters");
  }
  p += kFixedSize + host + site;
  for (size_t i = 0; i < addresses; ++i, p += kAddressSize) {
    const Address address = DecodeAddress(p);
    if (!IsUsable(address)) return Corrupt("an address nobody can connect to");
    card.addresses.push_back(address);
  }
  if (!DecodeLabels(bytes.subspan(static_cast<size_t>(p - bytes.data())),
                    &card)) {
    return Corrupt("labels beyond its end");
  }
  if (!std::all_of(card.labels.begin(), card.labels.end(), IsPlain)) {
    return Corrupt("a label with control characters");
  }
  return card;
}

}  // namespace longhaul
