#include "collective/symbolic.h"

#include <cinttypes>
#include <cstddef>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/text.h"
#include "collective/expressions.h"
#include "collective/successors.h"
#include "collective/validator.h"

namespace longhaul {
namespace {

using Id = Expressions::Id;

Status Bad(std::string text) {
  return {StatusCode::kInvalidArgument, std::move(text)};
}

// A step of a rank.
struct Place {
  size_t rank;
  uint32_t step;
};

// One performance of all schedules.
class Play {
 public:
  /// `source`: the one rank that has an input; -1 if all have.
  Play(std::span<const Schedule> ranks, Expressions& expressions, bool in_place,
       Rank source = -1)
      : schedules_(ranks),
        expressions_(expressions),
        in_place_(in_place),
        source_(source),
        words_((ranks.size() + 63) / 64) {
    for (size_t r = 0; r < ranks.size(); ++r) states_.push_back(StateOf(r));
  }

  Status Run() {
    for (size_t r = 0; r < schedules_.size(); ++r) {
      for (const uint32_t i : states_[r].successors.roots) {
        ready_.push_back({r, i});
      }
    }
    while (!ready_.empty()) {
      const Place place = ready_.back();
      ready_.pop_back();
      Status s = Start(place);
      if (!s.ok()) return s;
    }
    return CheckEnd();
  }

  /// After Run: no rank is done before every rank has started.
  Status CheckWord() {
    for (size_t r = 0; r < states_.size(); ++r) {
      const size_t n = schedules_[r].steps.size();
      std::vector<uint64_t> known(words_, 0);
      for (uint32_t i = 0; i < n; ++i) Learn(known, KnownAt({r, i}));
      for (size_t other = 0; other < states_.size(); ++other) {
        if ((known[other / 64] >> (other % 64) & 1) != 0) continue;
        return Bad(Text("rank %zu is done without word of rank %zu", r, other));
      }
    }
    return {};
  }

  const std::vector<Id>& OutputOf(size_t rank) const {
    return states_[rank].memory[in_place_ ? 0 : 1];
  }

 private:
  // Which ranks are known to have started, as bits.
  using Known = std::span<uint64_t>;

  struct State {
    std::vector<Id> memory[4];      // by Space
    std::vector<uint32_t> missing;  // dependencies not complete, by step
    Successors successors;
    std::vector<uint64_t> known;  // words_ by step
    size_t done = 0;              // steps
  };

  State StateOf(size_t rank) const {
    const Schedule& schedule = schedules_[rank];
    const size_t n = schedule.steps.size();
    State state;
    const auto self = static_cast<Rank>(rank);
    const bool empty = source_ >= 0 && source_ != self;
    for (uint64_t e = 0; e < schedule.count; ++e) {
      state.memory[0].push_back(empty ? Expressions::kNothing
                                      : expressions_.Leaf(self, e));
    }
    state.memory[1].assign(schedule.count, Expressions::kNothing);
    state.memory[2].assign(schedule.scratch_count, Expressions::kNothing);
    state.memory[3].assign(schedule.code_count, Expressions::kNothing);
    state.successors = SuccessorsOf(schedule);
    state.known.assign(n * words_, 0);
    for (size_t i = 0; i < n; ++i) {
      state.missing.push_back(schedule.steps[i].dependency_count);
      state.known[i * words_ + rank / 64] |= uint64_t{1} << (rank % 64);
    }
    return state;
  }

  Known KnownAt(Place p) {
    return std::span(states_[p.rank].known).subspan(p.step * words_, words_);
  }
  const Step& StepAt(Place p) const { return schedules_[p.rank].steps[p.step]; }
  Id* At(size_t rank, const Extent& extent) {
    const bool alias = in_place_ && extent.space == Space::kOutput;
    const size_t space = alias ? 0 : static_cast<size_t>(extent.space);
    return states_[rank].memory[space].data() + extent.offset;
  }
  static std::string Where(Place p) {
    return Text("rank %zu, step %u", p.rank, p.step);
  }

  Status Start(Place place) {
    const Step& step = StepAt(place);
    switch (step.kind) {
      case StepKind::kReduce:
      case StepKind::kCopy:
      case StepKind::kEncode:
      case StepKind::kDecode: {
        Status s = Compute(place);
        if (s.ok()) Complete(place);
        return s;
      }
      case StepKind::kSend:
        return Meet({static_cast<Rank>(place.rank), step.peer, step.message},
                    place);
      case StepKind::kRecv:
        return Meet({step.peer, static_cast<Rank>(place.rank), step.message},
                    place);
    }
    return {};
  }

  Status Compute(Place place) {
    const Step& step = StepAt(place);
    std::vector<Id> operands(step.source_count);
    for (uint64_t e = 0; e < step.target.count; ++e) {
      size_t i = 0;
      for (const Extent& source : schedules_[place.rank].SourcesOf(step)) {
        operands[i++] = At(place.rank, source)[e];
      }
      if (step.kind == StepKind::kEncode &&
          !StandsForWhatItSays(step, e, operands[0])) {
        return Bad(Where(place) + ": encodes another element than it says");
      }
      const Id sum = step.kind == StepKind::kEncode
                         ? expressions_.Code(operands[0])
                         : expressions_.Add(operands, step.final);
      if (sum == Expressions::kNothing) {
        return Bad(Where(place) + ": " + expressions_.fault());
      }
      At(place.rank, step.target)[e] = sum;
    }
    return {};
  }

  bool StandsForWhatItSays(const Step& step, uint64_t e, Id operand) const {
    return operand == Expressions::kNothing ||
           (expressions_.ElementOf(operand) == step.element + e &&
            expressions_.IsFinal(operand) == step.final);
  }

  using Message = std::tuple<Rank, Rank, uint32_t>;  // from, to, number

  // The second of a message's two ends to start moves it.
  Status Meet(Message message, Place place) {
    const auto [waiting, first] = waiting_.emplace(message, place);
    if (first) return {};
    const Place other = waiting->second;
    waiting_.erase(waiting);
    const bool sends = StepAt(place).kind == StepKind::kSend;
    return Move(sends ? place : other, sends ? other : place);
  }

  Status Move(Place from, Place to) {
    const Extent& source = schedules_[from.rank].SourcesOf(StepAt(from))[0];
    const Extent& target = StepAt(to).target;
    if (source.count != target.count) {
      return Bad(Where(from) +
                 Text(" sends %" PRIu64 " elements to ", source.count) +
                 Where(to) + ", which expects another number");
    }
    for (uint64_t e = 0; e < source.count; ++e) {
      const Id value = At(from.rank, source)[e];
      if (value == Expressions::kNothing) {
        return Bad(Where(from) + ": sends memory nobody has written");
      }
      At(to.rank, target)[e] = value;
    }
    Learn(KnownAt(to), KnownAt(from));
    Complete(from);
    Complete(to);
    return {};
  }

  static void Learn(Known known, Known more) {
    for (size_t w = 0; w < known.size(); ++w) known[w] |= more[w];
  }

  void Complete(Place place) {
    State& state = states_[place.rank];
    ++state.done;
    for (const uint32_t next : state.successors.Of(place.step)) {
      Learn(KnownAt({place.rank, next}), KnownAt(place));
      if (--state.missing[next] == 0) ready_.push_back({place.rank, next});
    }
  }

  Status CheckEnd() {
    if (!waiting_.empty()) {
      return Bad(Where(waiting_.begin()->second) + " waits for ever");
    }
    for (size_t r = 0; r < states_.size(); ++r) {
      LH_CHECK(states_[r].done == schedules_[r].steps.size());  // nothing waits
    }
    return {};
  }

  std::span<const Schedule> schedules_;
  Expressions& expressions_;
  bool in_place_;
  Rank source_;
  size_t words_;
  std::vector<State> states_;
  std::vector<Place> ready_;
  std::map<Message, Place> waiting_;  // ends that wait for the other
};

Status CheckElement(const Expressions& expressions, size_t rank, uint64_t e,
                    Id value, Id expected) {
  const std::string where = Text("rank %zu, output element %" PRIu64, rank, e);
  if (value == Expressions::kNothing) return Bad(where + " is never written");
  if (!expressions.IsFinal(value)) return Bad(where + " is not final");
  if (expressions.ElementOf(value) != e) {
    return Bad(where + " is the sum of another element");
  }
  for (const uint32_t times : expressions.ContributionsTo(value)) {
    if (times != 1) return Bad(where + Text(" has a rank %u times", times));
  }
  if (value != expected) {
    return Bad(where + " is added in another order than on rank 0");
  }
  return {};
}

Status CheckRoutes(std::span<const Schedule> ranks, const Topology& topology) {
  for (size_t r = 0; r < ranks.size(); ++r) {
    const auto self = static_cast<Rank>(r);
    for (const Step& step : ranks[r].steps) {
      if (step.peer < 0 || topology.SameSite(self, step.peer)) continue;
      if (!topology.HasWan(self) || !topology.HasWan(step.peer)) {
        return Bad(
            Text("ranks %d and %d exchange a message between sites, but "
                 "not both have WAN access",
                 self, step.peer));
      }
    }
  }
  return {};
}

Status CheckSchedules(std::span<const Schedule> ranks,
                      const Topology& topology) {
  if (ranks.size() != static_cast<size_t>(topology.size())) {
    return Bad("one schedule per rank is needed");
  }
  for (size_t r = 0; r < ranks.size(); ++r) {
    if (ranks[r].count != ranks[0].count) return Bad("the counts differ");
    Status s =
        ValidateSchedule(ranks[r], static_cast<Rank>(r), topology.size());
    if (!s.ok()) return s;
  }
  return CheckRoutes(ranks, topology);
}

// Element `e` summed over all ranks of all sites, as numerics ask for it.
Id SumBySite(Expressions& expressions, const Topology& topology, uint64_t e) {
  std::vector<Id> sites;
  for (SiteIndex site = 0; site < topology.site_count(); ++site) {
    std::vector<Id> ranks;
    for (const Rank rank : topology.RanksOf(site)) {
      ranks.push_back(expressions.Leaf(rank, e));
    }
    if (topology.site_count() == 1) return expressions.Add(ranks, true);
    sites.push_back(expressions.Add(ranks, false));
  }
  return expressions.Add(sites, true);
}

}  // namespace

Status CheckAllReduce(std::span<const Schedule> ranks,
                      const Topology& topology) {
  Status sound = CheckSchedules(ranks, topology);
  if (!sound.ok()) return sound;
  Expressions expressions(topology.size());
  std::vector<Id> expected;
  for (const bool in_place : {false, true}) {
    Play play(ranks, expressions, in_place);
    Status s = play.Run();
    if (s.ok()) s = play.CheckWord();
    if (!s.ok()) return s;
    if (expected.empty()) expected = play.OutputOf(0);
    for (size_t r = 0; r < ranks.size(); ++r) {
      for (uint64_t e = 0; e < ranks[r].count; ++e) {
        s = CheckElement(expressions, r, e, play.OutputOf(r)[e], expected[e]);
        if (!s.ok()) return s;
      }
    }
  }
  return {};
}

Status CheckAllGather(std::span<const Schedule> ranks, const Topology& topology,
                      Rank root) {
  Status sound = CheckSchedules(ranks, topology);
  if (!sound.ok()) return sound;
  Expressions expressions(topology.size());
  for (const bool in_place : {false, true}) {
    Play play(ranks, expressions, in_place, root);
    Status s = play.Run();
    if (!s.ok()) return s;
    for (size_t r = 0; r < ranks.size(); ++r) {
      for (uint64_t e = 0; e < ranks[r].count; ++e) {
        if (play.OutputOf(r)[e] == expressions.Leaf(root, e)) continue;
        return Bad(Text(
            "rank %zu, output element %" PRIu64 " is not the root's", r, e));
      }
    }
  }
  return {};
}

Status CheckReduceScatter(std::span<const Schedule> ranks,
                          const Topology& topology, Rank root) {
  Status sound = CheckSchedules(ranks, topology);
  if (!sound.ok()) return sound;
  Expressions expressions(topology.size());
  for (const bool in_place : {false, true}) {
    Play play(ranks, expressions, in_place);
    Status s = play.Run();
    if (!s.ok()) return s;
    for (size_t r = 0; r < ranks.size(); ++r) {
      const bool is_root = static_cast<Rank>(r) == root;
      for (uint64_t e = 0; e < ranks[r].count; ++e) {
        const Id value = play.OutputOf(r)[e];
        const Id untouched = in_place
                                 ? expressions.Leaf(static_cast<Rank>(r), e)
                                 : Expressions::kNothing;
        if (!is_root && value != untouched) {
          return Bad(Text("rank %zu writes output element %" PRIu64, r, e));
        }
        if (is_root && value != SumBySite(expressions, topology, e)) {
          return Bad(Text("rank %zu, output element %" PRIu64
                          " is not the sum by sites",
                          r, e));
        }
      }
    }
  }
  return {};
}

}  // namespace longhaul
