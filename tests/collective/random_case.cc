#include "collective/random_case.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <utility>

#include "base/text.h"
#include "collective/selector.h"

namespace longhaul {
namespace {

constexpr Rank kMostRanks = 8;
constexpr uint64_t kMostBytes = uint64_t{4} << 20;
/// Far more than any case needs.
constexpr Duration kPatience = 600 * kSecond;

class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}
  /// 0 .. sides - 1
  uint64_t Roll(uint64_t sides) { return random_() % sides; }
  bool Chance(uint64_t percent) { return Roll(100) < percent; }
  /// 0 <= result < 1
  double Share() { return static_cast<double>(random_() >> 11) * 0x1p-53; }
  /// Evenly over the orders of magnitude.
  double Between(double least, double most) {
    return least * std::pow(most / least, Share());
  }
  Duration Time(Duration least, Duration most) {
    return std::llround(
        Between(static_cast<double>(least), static_cast<double>(most)));
  }
  template <typename T>
  const T& Any(const std::vector<T>& of) {
    return of[Roll(of.size())];
  }

 private:
  std::mt19937_64 random_;
};

std::vector<Rank> DrawSites(Dice& dice) {
  std::vector<Rank> sites(1 + dice.Roll(4), 1);
  const Rank more = static_cast<Rank>(
      dice.Roll(static_cast<uint64_t>(kMostRanks) - sites.size() + 1));
  for (Rank i = 0; i < more; ++i) ++sites[dice.Roll(sites.size())];
  return sites;
}

SimLink DrawLink(Dice& dice, bool reliable) {
  SimLink link;
  link.rate = dice.Between(1e6, 200e6);
  link.delay = dice.Time(100 * kMicrosecond, 80 * kMillisecond);
  if (dice.Chance(30)) link.jitter = dice.Time(kMicrosecond, link.delay);
  link.reliable = reliable;
  if (reliable) return link;
  if (dice.Chance(70)) link.loss = dice.Between(1e-4, 0.05);
  if (dice.Chance(50)) link.duplicate = dice.Between(1e-4, 0.05);
  if (dice.Chance(50)) link.reorder = dice.Between(1e-4, 0.05);
  link.late = dice.Time(kMillisecond, 50 * kMillisecond);
  return link;
}

// Every algorithm there is; those that cannot serve the topology become kAuto.
Algorithm DrawAlgorithm(Dice& dice, const Topology& topology) {
  std::vector<Algorithm> all{Algorithm::kAuto};
  for (int i = 1; i < 256; ++i) {
    const auto algorithm = static_cast<Algorithm>(i);
    if (std::string(NameOf(algorithm)) == NameOf(Algorithm::kAuto)) continue;
    if (CheckBuildable(topology, algorithm).ok()) all.push_back(algorithm);
  }
  return dice.Any(all);
}

SimJobConfig DrawConfig(Dice& dice) {
  SimJobConfig config;
  config.sites = DrawSites(dice);
  if (dice.Chance(50)) {
    for (size_t s = 0; s < config.sites.size(); ++s) {
      config.site_rates.push_back(dice.Between(10e6, 1e9));
    }
  }
  const bool reliable = dice.Chance(70);
  const uint64_t paths = 1 + dice.Roll(3);
  for (uint64_t p = 0; p < paths; ++p) {
    config.wan_links.push_back(DrawLink(dice, reliable));
  }
  config.wan_flows = static_cast<int>(1 + dice.Roll(2));
  config.reopen = 5 * kSecond;
  if (dice.Chance(30)) config.segments.segment_size = 4096 << dice.Roll(6);
  if (dice.Chance(30)) config.wan_credit = 64 << (10 + dice.Roll(5));
  config.algorithm = DrawAlgorithm(dice, Topology::OfSizes(config.sites));
  return config;
}

CallSpec DrawCall(Dice& dice, uint64_t ranks) {
  static const std::vector<Collective> kCollectives{
      Collective::kAllReduce,     Collective::kAllReduce,
      Collective::kAllReduce,     Collective::kAllGather,
      Collective::kReduceScatter, Collective::kBarrier};
  CallSpec spec;
  spec.collective = dice.Any(kCollectives);
  spec.type = static_cast<DataType>(dice.Roll(kDataTypeCount));
  spec.op = static_cast<ReduceOp>(dice.Roll(kReduceOpCount));
  spec.in_place = dice.Chance(50);
  spec.salt = dice.Roll(7);
  if (spec.collective == Collective::kBarrier) {
    spec.type = DataType::kInt8;
    spec.op = ReduceOp::kSum;
    return spec;
  }
  const bool whole = spec.collective == Collective::kAllReduce;
  const auto most = static_cast<double>(kMostBytes) / (whole ? 1 : 4);
  const auto bytes = static_cast<uint64_t>(dice.Between(1, most));
  spec.count = dice.Chance(10) ? dice.Roll(3) : bytes / SizeOf(spec.type);
  if (!whole) spec.count /= ranks;
  return spec;
}

RandomFault DrawFault(Dice& dice, const SimJobConfig& config) {
  const Topology topology = Topology::OfSizes(config.sites);
  const auto size = static_cast<uint64_t>(topology.size());
  RandomFault fault;
  fault.kind = static_cast<FaultKind>(dice.Roll(3));
  fault.at = dice.Share();
  fault.length = dice.Time(kMillisecond, 3 * kSecond);
  do {
    fault.a = static_cast<Rank>(dice.Roll(size));
    fault.b = static_cast<Rank>(dice.Roll(size));
  } while (topology.SameSite(fault.a, fault.b));
  fault.path = static_cast<uint16_t>(dice.Roll(config.wan_links.size()));
  fault.link = config.wan_links[fault.path];
  fault.link.rate *= dice.Between(0.1, 10);
  fault.link.delay = std::llround(static_cast<double>(fault.link.delay) *
                                  dice.Between(0.2, 5));
  return fault;
}

const char* NameOf(FaultKind kind) {
  switch (kind) {
    case FaultKind::kFlowKilled:
      return "a flow is lost";
    case FaultKind::kHole:
      return "silence";
    case FaultKind::kChange:
      return "another link";
    case FaultKind::kProcess:
      return "a process is gone";
  }
  return "?";
}

const char* NameOf(Collective collective) {
  switch (collective) {
    case Collective::kAllReduce:
      return "all-reduce";
    case Collective::kBarrier:
      return "barrier";
    case Collective::kAllGather:
      return "all-gather";
    case Collective::kReduceScatter:
      return "reduce-scatter";
  }
  return "?";
}

double Milliseconds(Duration time) { return static_cast<double>(time) / 1e6; }

// One case in the making: what is due when, and the calls.
class Player {
 public:
  explicit Player(const RandomCase& drawn)
      : case_(drawn), job_(drawn.seed, drawn.config) {
    for (const CallSpec& spec : drawn.calls) {
      calls_.push_back(std::make_unique<SimCall>(job_, spec));
    }
    for (Rank r = 0; r < job_.size(); ++r) {
      At(drawn.starts[static_cast<size_t>(r)], [this, r] { Call(r); });
    }
  }

  // The faults are to come, if that is how long it takes without them.
  void AddFaults(Duration length) {
    for (const RandomFault& fault : case_.faults) {
      AddFault(fault, std::llround(static_cast<double>(length) * fault.at));
    }
  }

  std::string Run() {
    std::stable_sort(
        due_.begin(), due_.end(),
        [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [time, act] : due_) {
      job_.world().RunUntil([] { return false; }, time);
      act();
    }
    if (!job_.world().RunUntil([this] { return Done(); }, kPatience)) {
      return "no end in sight";
    }
    took_ = job_.world().now();
    std::string wrong = CheckResults();
    if (wrong.empty() && job_.dead_count() == 0) wrong = CheckAfterwards();
    return wrong;
  }
  Duration took() const { return took_; }

 private:
  void At(TimePoint time, std::function<void()> act) {
    due_.emplace_back(time, std::move(act));
  }

  void Call(Rank rank) {
    for (auto& call : calls_) call->StartOn(rank);
  }

  void AddFault(const RandomFault& fault, TimePoint at) {
    At(at, [this, fault] { Begin(fault); });
    if (fault.kind == FaultKind::kHole) {
      At(at + fault.length,
         [this, fault] { job_.SetHole(fault.a, fault.b, fault.path, false); });
    }
  }

  void Begin(const RandomFault& fault) {
    switch (fault.kind) {
      case FaultKind::kFlowKilled:
        for (const auto& flow : job_.FlowsBetween(fault.a, fault.b)) {
          if (flow.id.path != fault.path) continue;
          job_.world().network().Kill(*flow.from);
          break;
        }
        break;
      case FaultKind::kHole:
        job_.SetHole(fault.a, fault.b, fault.path, true);
        break;
      case FaultKind::kChange:
        job_.ChangePath(fault.a, fault.b, fault.path, fault.link);
        break;
      case FaultKind::kProcess:
        job_.KillProcess(fault.a);
        break;
    }
  }

  bool Done() const {
    return std::all_of(calls_.begin(), calls_.end(),
                       [](const auto& call) { return call->Done(); });
  }

  // A job that loses a process may end with the right result, or say so.
  std::string CheckResults() const {
    for (size_t i = 0; i < calls_.size(); ++i) {
      for (Rank r = 0; r < job_.size(); ++r) {
        const Status& status = calls_[i]->status(r);
        const bool dies = job_.dead_count() > 0 &&
                          (status.code() == StatusCode::kUnreachable ||
                           status.code() == StatusCode::kAborted);
        if (status.ok() || dies) continue;
        return Text("call %zu, rank %d: %s", i, r, status.ToString().c_str());
      }
      if (calls_[i]->Wrong() > 0) return Text("call %zu: wrong elements", i);
    }
    return "";
  }

  // The job goes on, and keeps nothing.
  std::string CheckAfterwards() {
    SimCall next(job_, CallSpec{.count = 100});
    next.Start();
    const TimePoint limit = job_.world().now() + kPatience;
    if (!job_.world().RunUntil([&] { return next.Done(); }, limit)) {
      return "the next call has no end in sight";
    }
    if (!next.status(0).ok()) {
      return "the next call: " + next.status(0).ToString();
    }
    if (next.Wrong() > 0) return "the next call: wrong elements";
    if (job_.world().RunUntil([this] { return Kept().empty(); }, limit)) {
      return "";
    }
    return "memory is kept:" + Kept();
  }

  // Ranks that have memory of messages, and how much; "": none has.
  std::string Kept() {
    std::string text;
    for (Rank r = 0; r < job_.size(); ++r) {
      const size_t bytes = job_.pool(r).bytes_in_use();
      if (bytes > 0) text += Text(" %zu bytes on rank %d", bytes, r);
    }
    return text;
  }

  const RandomCase& case_;
  Duration took_ = 0;
  SimJob job_;
  std::vector<std::unique_ptr<SimCall>> calls_;
  std::vector<std::pair<TimePoint, std::function<void()>>> due_;
};

}  // namespace

std::string RandomCase::ToString() const {
  std::string text =
      Text("seed %llu: sites of", static_cast<unsigned long long>(seed));
  for (const Rank ranks : config.sites) text += Text(" %d", ranks);
  text +=
      Text(", %s%s, %d flows on each of:\n", longhaul::NameOf(config.algorithm),
           config.site_rates.empty() ? "" : ", rates stated", config.wan_flows);
  for (const SimLink& link : config.wan_links) {
    text += Text("  %.1f MB/s, %.2f ms, jitter %.2f ms%s, loss %.4f\n",
                 link.rate / 1e6, Milliseconds(link.delay),
                 Milliseconds(link.jitter), link.reliable ? "" : ", unreliable",
                 link.loss);
  }
  for (const CallSpec& call : calls) {
    text += Text("  %s of %llu %s %s%s\n", NameOf(call.collective),
                 static_cast<unsigned long long>(call.count),
                 longhaul::NameOf(call.type), longhaul::NameOf(call.op),
                 call.in_place ? ", in place" : "");
  }
  for (const RandomFault& fault : faults) {
    text += Text("  after %.4f of it: %s, ranks %d and %d, path %d, %.1f ms\n",
                 fault.at, NameOf(fault.kind), fault.a, fault.b, fault.path,
                 Milliseconds(fault.length));
  }
  return text;
}

RandomCase DrawCase(uint64_t seed) {
  Dice dice(seed);
  RandomCase drawn;
  drawn.seed = seed;
  drawn.config = DrawConfig(dice);
  Rank ranks = 0;
  for (const Rank here : drawn.config.sites) ranks += here;
  const uint64_t calls = 1 + dice.Roll(3);
  for (uint64_t i = 0; i < calls; ++i) {
    drawn.calls.push_back(DrawCall(dice, static_cast<uint64_t>(ranks)));
  }
  for (Rank r = 0; r < ranks; ++r) {
    drawn.starts.push_back(
        dice.Chance(50) ? 0 : dice.Time(kMicrosecond, 100 * kMillisecond));
  }
  if (dice.Chance(15)) {
    RandomFault fault;
    fault.kind = FaultKind::kProcess;
    fault.at = dice.Share();
    fault.a = static_cast<Rank>(dice.Roll(static_cast<uint64_t>(ranks)));
    drawn.faults.push_back(fault);
  }
  const uint64_t faults = drawn.config.sites.size() > 1 ? dice.Roll(4) : 0;
  for (uint64_t i = 0; i < faults; ++i) {
    drawn.faults.push_back(DrawFault(dice, drawn.config));
  }
  return drawn;
}

std::string Play(const RandomCase& drawn) {
  Player calm(drawn);
  std::string wrong = calm.Run();
  if (!wrong.empty()) return "without the faults: " + wrong;
  if (drawn.faults.empty()) return "";
  Player player(drawn);
  player.AddFaults(calm.took());
  return player.Run();
}

}  // namespace longhaul
