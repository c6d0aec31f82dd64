// What a process says of itself when a job comes together: who it is, where,
// and how to reach it. Travels as a blob of the rendezvous.
//
// Values and pure functions; any thread.
#pragma once

#include <longhaul/status.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/siphash.h"

namespace longhaul {

/// By what a process lets in those that did not meet it at a rendezvous: they
/// have its card from elsewhere (NCCL's handles), and that is their proof.
struct Door {
  uint64_t job = 0;  ///< nonce to greet with; 0: the job's own, no door
  SipKey key{};      ///< zero: that of the secret file
  bool operator==(const Door&) const = default;
};

struct ProcessCard {
  uint16_t version_min = 1;  ///< protocol versions spoken (hello.h)
  uint16_t version_max = 1;
  uint64_t capabilities = 0;
  uint64_t incarnation = 0;  ///< random name of this process, not 0
  uint32_t pid = 0;
  uint64_t topology = 0;  ///< TopologyFile::Fingerprint; 0: no file
  Door door;
  bool wan_access = true;           ///< it can reach other sites itself
  std::string host;                 ///< at most kMaxCardName bytes, as is
  std::string site;                 ///< the same; empty: not said
  std::vector<Address> addresses;   ///< data listeners, the best first; scopes
                                    ///< mean nothing elsewhere and stay here
  std::vector<std::string> labels;  ///< the addresses' interfaces, in their
                                    ///< order; missing or empty: not said
  bool operator==(const ProcessCard&) const = default;
};

inline constexpr size_t kMaxCardName = 255;
inline constexpr size_t kMaxCardAddresses = 64;
inline constexpr size_t kMaxCardLabel = 15;

/// Names, labels and addresses beyond the limits are cut.
std::vector<uint8_t> EncodeCard(const ProcessCard& card);
/// kCorrupt for what no version sends: wrong magic, checksum or lengths, names
/// with control characters, an incarnation of 0, addresses without a port. The
/// result has as many labels as addresses.
/// Bytes behind the fields known here are a later version's and skipped.
Result<ProcessCard> DecodeCard(std::span<const uint8_t> bytes);

}  // namespace longhaul
