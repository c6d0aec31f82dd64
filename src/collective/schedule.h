// A collective as data: what one rank sends, receives, adds and copies, and
// what must come first. Pure builders make a Schedule (ring.h, hierarchical.h,
// sharded.h, all_gather.h, reduce_scatter.h), symbolic.h checks it, cost.h
// prices it, and schedule_runner.h plays it.
//
// A schedule covers one segment: offsets are in elements from the segment's
// start, so the same value serves every segment of the same length, every
// element type, and calls in place as well as out of place. It is therefore
// valid when input and output are the same memory: a step that writes a part
// of the output depends on every step that still reads that part of the input.
// Where input and output of an operation differ in length, a segment lies in
// one rank's block, and what is said here holds for that block
// (operation_plan.h).
//
// Where a codec encodes what crosses the WAN, a schedule says what is encoded
// and what decoded, not by which codec: the same value serves all of them.
// Codes are counted in the elements they stand for. Each is used as a whole,
// and begins at a multiple of kCodeGrain elements, so that a codec's blocks
// begin with it.
//
// Every message of an all-reduce's pattern is in its schedule, empty ones too:
// they carry the fingerprint and the dependence on every rank, however short
// the vector. Other collectives run one of no elements beside their own.
//
// Values; thread-compatible.
#pragma once

#include <longhaul/options.h>
#include <longhaul/types.h>

#include <cstdint>
#include <span>
#include <vector>

namespace longhaul {

/// The values appear on the wire, in fingerprints.
enum class Collective : uint8_t {
  kAllReduce = 0,
  kBarrier = 1,
  kAllGather = 2,
  kReduceScatter = 3,
};

/// All-gather and reduce-scatter: of vectors of a block per rank.
constexpr bool IsOfBlocks(Collective collective) {
  return collective == Collective::kAllGather ||
         collective == Collective::kReduceScatter;
}

enum class StepKind : uint8_t {
  kSend,  ///< sources[0] goes to `peer` as message `message`
  kRecv,  ///< message `message` from `peer` fills `target`
  /// target = sources[0] op sources[1] op ..., in this order; the target may
  /// be the same memory as a source, but does not overlap one in part
  kReduce,
  kCopy,    ///< target = sources[0]; nothing to do if they are the same memory
  kEncode,  ///< the code `target` = that of sources[0]
  /// target = decode(sources[0]) op decode(sources[1]) op ..., in this order,
  /// rounded once; sources are codes
  kDecode,
};

/// The memory an extent lies in.
enum class Space : uint8_t { kInput, kOutput, kScratch, kCodes };

/// Every codec's blocks have a length of which this is a multiple.
inline constexpr uint64_t kCodeGrain = 4096;

/// Elements that the code of `count` elements takes of Space::kCodes.
constexpr uint64_t CodePlace(uint64_t count) {
  return (count + kCodeGrain - 1) / kCodeGrain * kCodeGrain;
}

/// `count` elements from element `offset` of a space.
struct Extent {
  Space space = Space::kInput;
  uint64_t offset = 0;
  uint64_t count = 0;
  friend bool operator==(const Extent&, const Extent&) = default;
};

struct Step {
  StepKind kind = StepKind::kSend;
  /// kReduce, kDecode: this result is final, so an average is divided here.
  /// kEncode: what is encoded is final.
  bool final = false;
  Rank peer = -1;        ///< kSend, kRecv; else -1
  uint32_t message = 0;  ///< unique per ordered pair of ranks in one schedule
  Extent target;         ///< all but kSend
  uint64_t element = 0;  ///< kEncode: of the segment, that the code begins with
  uint32_t first_source = 0;  ///< into Schedule::sources; none for kRecv
  uint32_t source_count = 0;
  uint32_t first_dependency = 0;  ///< into Schedule::dependencies
  uint32_t dependency_count = 0;
};

struct Schedule {
  std::vector<Step> steps;
  std::vector<Extent> sources;
  /// Indices of steps that must be complete before the step that names them;
  /// always smaller than its own index. A send is complete when its source may
  /// be overwritten, a receive when its target is filled.
  std::vector<uint32_t> dependencies;
  uint64_t count = 0;          ///< elements in the segment
  uint64_t scratch_count = 0;  ///< elements of scratch it needs
  uint64_t code_count = 0;     ///< elements that Space::kCodes has room for

  std::span<const Extent> SourcesOf(const Step& step) const {
    return std::span(sources).subspan(step.first_source, step.source_count);
  }
  std::span<const uint32_t> DependenciesOf(const Step& step) const {
    return std::span(dependencies)
        .subspan(step.first_dependency, step.dependency_count);
  }
};

/// "ring", "hierarchical", "sharded"; "auto" before one is chosen (selector.h).
constexpr const char* NameOf(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kRing:
      return "ring";
    case Algorithm::kHierarchical:
      return "hierarchical";
    case Algorithm::kSharded:
      return "sharded";
    case Algorithm::kAuto:
      break;
  }
  return "auto";
}

}  // namespace longhaul
