#include "collective/fingerprint.h"

#include <cinttypes>

#include "base/fnv1a.h"
#include "base/text.h"
#include "collective/schedule.h"

namespace longhaul {

uint64_t HashOf(std::initializer_list<uint64_t> numbers) {
  uint64_t hash = kFnv1aStart;
  for (const uint64_t number : numbers) {
    for (int shift = 0; shift < 64; shift += 8) {
      hash = Fnv1a(hash, static_cast<uint8_t>(number >> shift));
    }
  }
  return hash;
}

std::string Describe(const Fingerprint& f) {
  if (f.collective == static_cast<uint8_t>(Collective::kBarrier)) {
    return "a barrier";
  }
  const std::string what =
      Text("%" PRIu64 " x %s", f.count, NameOf(static_cast<DataType>(f.type)));
  const char* op = NameOf(static_cast<ReduceOp>(f.op));
  switch (static_cast<Collective>(f.collective)) {
    case Collective::kAllGather:
      return Text("an all-gather of %s (place %08x, segments of %u)",
                  what.c_str(), f.root, f.segment);
    case Collective::kReduceScatter:
      return Text("a reduce-scatter of %s (%s, place %08x, segments of %u)",
                  what.c_str(), op, f.root, f.segment);
    case Collective::kAllReduce:
    case Collective::kBarrier:
      break;
  }
  const auto algorithm = static_cast<Algorithm>(f.algorithm);
  if (algorithm == Algorithm::kSharded) {
    return Text(
        "an all-reduce of %s (%s, sharded, shares %08x, segments of %u)",
        what.c_str(), op, f.root, f.segment);
  }
  if (f.root != 0) {
    return Text("an all-reduce of %s (%s, %s, codec %08x, segments of %u)",
                what.c_str(), op, NameOf(algorithm), f.root, f.segment);
  }
  return Text("an all-reduce of %s (%s, %s, segments of %u)", what.c_str(), op,
              NameOf(algorithm), f.segment);
}

// What a reader cannot see in a place or in shares, which are hashes.
const char* HintOn(Fingerprint one, const Fingerprint& other) {
  if (one.root == other.root) return "";
  one.root = other.root;
  one.segment = other.segment;
  if (!(one == other)) return "";
  return IsOfBlocks(static_cast<Collective>(one.collective))
             ? ": the blocks or the windows' offsets differ"
             : ": the sites' shares or the codecs differ";
}

}  // namespace longhaul
