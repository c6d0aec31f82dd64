// The rendezvous: bytes as a stream of messages, as payloads, and as what
// clients do to the store. Payloads that decode survive another round; the
// store tells no client anything after its last word.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "collective/rendezvous_frame.h"
#include "collective/rendezvous_store.h"

namespace longhaul {
namespace {

void ReadStream(std::span<const uint8_t> bytes) {
  RendezvousReader reader(1000);
  while (!bytes.empty()) {
    const std::span<uint8_t> space = reader.Space();
    LH_CHECK(!space.empty());
    const size_t size = std::min(space.size(), bytes.size());
    std::copy_n(bytes.begin(), size, space.begin());
    bytes = bytes.subspan(size);
    if (!reader.Took(size).ok()) return;
    if (!reader.Complete()) continue;
    LH_CHECK(reader.payload().size() <= 1000);
    reader.Next();
  }
}

// Decoded, encoded and decoded once more, a message has not changed.
template <typename Decode>
void CheckRoundTrip(std::span<const uint8_t> payload, const Decode& decode) {
  const auto first = decode(payload);
  if (!first.ok()) return;
  const std::vector<uint8_t> once = EncodeMessage(*first);
  const auto second = decode(std::span(once).subspan(kRendezvousHeadSize));
  LH_CHECK(second.ok());
  LH_CHECK(EncodeMessage(*second) == once);
}

class Mailer final : public RendezvousMailer {
 public:
  void Deliver(uint64_t client, RendezvousBytes message, bool last) override {
    LH_CHECK(message != nullptr && talking.contains(client));
    if (last) talking.erase(client);
  }
  void Replaced(uint64_t client) override { talking.erase(client); }
  std::set<uint64_t> talking;
};

// Three bytes a step: what, who, and how.
void PlayStore(std::span<const uint8_t> steps) {
  Mailer mailer;
  RendezvousStore store({1, {}, 5, 50, 3, 4000}, mailer);
  uint64_t client = 0;
  TimePoint now = 0;
  for (; steps.size() >= 3; steps = steps.subspan(3), ++now) {
    const uint8_t what = steps[0];
    if (what % 4 == 0) {
      now += steps[1];
      store.Tick(now);
    } else if (what % 4 == 1 && client != 0) {
      const uint64_t leaver = 1 + steps[1] % client;
      store.Leave(leaver, !mailer.talking.contains(leaver));
      mailer.talking.erase(leaver);
    } else {
      JoinMessage join;
      join.size = 1 + steps[2] % 4;
      join.rank = steps[1] % join.size;
      join.incarnation = steps[1] / 64;
      join.key = std::string(1, static_cast<char>('a' + steps[2] / 4 % 5));
      join.blob.resize(steps[2]);
      mailer.talking.insert(++client);
      store.Join(client, "somewhere", std::move(join), now);
    }
    LH_CHECK(store.keys() <= 3);
  }
  while (client != 0) store.Leave(client--, true);
  store.Tick(now + 1000);
  LH_CHECK(store.keys() == 0 && store.Drained());
}

}  // namespace
}  // namespace longhaul

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::span<const uint8_t> rest(data + 1, size - 1);
  switch (data[0] % 6) {
    case 0:
      longhaul::ReadStream(rest);
      break;
    case 1:
      longhaul::CheckRoundTrip(rest, longhaul::DecodeJoin);
      break;
    case 2:
      longhaul::CheckRoundTrip(rest, longhaul::DecodeTable);
      break;
    case 3:
      longhaul::CheckRoundTrip(rest, longhaul::DecodeWaiting);
      break;
    case 4:
      longhaul::CheckRoundTrip(rest, longhaul::DecodeError);
      break;
    default:
      longhaul::PlayStore(rest);
      break;
  }
  return 0;
}
