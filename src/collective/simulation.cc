#include "collective/simulation.h"

#include <algorithm>
#include <cstddef>
#include <deque>
#include <limits>
#include <map>
#include <queue>
#include <set>
#include <tuple>
#include <vector>

#include "base/check.h"
#include "collective/routes.h"
#include "collective/successors.h"

namespace longhaul {
namespace {

// Serves what comes in turn.
struct Resource {
  double free = 0;  // from when on
  double busy = 0;  // so far
  // Starts at `now` or later; returns the start.
  double Serve(double now, double seconds) {
    const double start = std::max(now, free);
    free = start + seconds;
    busy += seconds;
    return start;
  }
};

// A step of a rank in a segment.
struct Task {
  uint64_t segment;
  size_t rank;
  uint32_t step;
};

// What an event is: a step may start or is done, or a message is at a stage of
// its way: the sender's card, its site's line up, the line between the sites,
// the other site's line down, the receiver's card, the receiver.
enum class Stage : uint8_t {
  kReady,
  kDone,
  kOut,
  kUp,
  kUpFree,  // not of the message: the line up may take the next
  kBetween,
  kDown,
  kIn,
  kThere,
};

struct Event {
  double time;     // when the first byte (or the step) is there
  double tail;     // when the last byte was past the stage before
  uint64_t order;  // of events at one time
  Task task;
  Stage stage;
};
struct Later {
  bool operator()(const Event& a, const Event& b) const {
    return std::tie(a.time, a.order) > std::tie(b.time, b.order);
  }
};

// A line that several streams (pairs of ranks) share: it takes a message of the
// one it has taken least of, from when that began to wait.
struct SharedLine {
  struct Stream {
    std::deque<Event> waiting;
    double taken = 0;  // seconds of the line
  };
  std::map<std::pair<size_t, Rank>, Stream> streams;
  double taken = 0;  // of the stream served last
  bool serving = false;
  double busy = 0;  // so far
};

class Simulator {
 public:
  Simulator(std::span<const Schedule> ranks, size_t element_size,
            const Topology& topology, const CostParameters& parameters,
            uint64_t segments, uint64_t in_flight)
      : schedules_(ranks),
        element_size_(static_cast<double>(element_size)),
        topology_(topology),
        parameters_(parameters),
        segments_(segments),
        hosts_(ranks.size()),
        begun_(ranks.size(), 0) {
    const auto sites = static_cast<size_t>(topology.site_count());
    up_.resize(sites);
    down_.resize(sites);
    for (SiteIndex a = 0; a < topology.site_count(); ++a) {
      for (SiteIndex b = 0; b < topology.site_count(); ++b) AddLines(a, b);
    }
    for (const Schedule& s : ranks) successors_.push_back(SuccessorsOf(s));
    FindPartners();
    for (uint64_t i = 0; i < in_flight; ++i) {
      for (size_t r = 0; r < ranks.size(); ++r) Begin(r, 0);
    }
  }

  Timing Run() {
    while (!events_.empty()) {
      const Event event = events_.top();
      events_.pop();
      timing_.seconds = std::max(timing_.seconds, event.time);
      Handle(event);
    }
    for (const Host& host : hosts_) {
      for (const Resource* r : {&host.processor, &host.out, &host.in}) {
        timing_.busiest = std::max(timing_.busiest, r->busy);
      }
    }
    for (const SharedLine& line : up_) {
      timing_.busiest = std::max(timing_.busiest, line.busy);
    }
    for (const Resource& line : down_) {
      timing_.busiest = std::max(timing_.busiest, line.busy);
    }
    for (const auto& [sites, lines] : lines_) {
      for (const Line& line : lines) {
        timing_.busiest = std::max(timing_.busiest, line.resource.busy);
      }
    }
    return timing_;
  }

 private:
  // A route between two sites, one direction.
  struct Line {
    Resource resource;
    double per_byte = 0;  // seconds
    double delay = 0;     // seconds
  };
  // A segment under way on a rank.
  struct Progress {
    std::vector<uint32_t> missing;  // dependencies not complete, by step
    uint32_t left = 0;              // steps not complete
  };
  // What a rank has to itself.
  struct Host {
    Resource processor;
    Resource out;
    Resource in;
    std::map<uint64_t, Progress> under_way;  // by segment
    // (segment, receive step) of messages of which one end waits for the other.
    std::set<std::pair<uint64_t, uint32_t>> waiting;
  };

  void AddLines(SiteIndex a, SiteIndex b) {
    if (a == b) return;
    for (const Route& route : RoutesBetween(topology_, a, b)) {
      lines_[{a, b}].push_back(
          {{}, 1 / (route.rate * parameters_.goodput), route.delay});
    }
  }

  const Step& StepOf(const Task& task) const {
    return schedules_[task.rank].steps[task.step];
  }
  double BytesOf(const Task& task) const {
    const Extent& source = schedules_[task.rank].SourcesOf(StepOf(task))[0];
    const bool code =
        source.space == Space::kCodes && StepOf(task).kind == StepKind::kSend;
    return static_cast<double>(source.count) * element_size_ *
           (code ? parameters_.code_share : 1);
  }

  // partners_[r][i]: the receive that takes rank r's send, step i.
  void FindPartners() {
    std::map<std::tuple<Rank, Rank, uint32_t>, uint32_t> receives;
    for (size_t r = 0; r < schedules_.size(); ++r) {
      const auto& steps = schedules_[r].steps;
      for (uint32_t i = 0; i < steps.size(); ++i) {
        if (steps[i].kind != StepKind::kRecv) continue;
        receives[{steps[i].peer, static_cast<Rank>(r), steps[i].message}] = i;
      }
    }
    partners_.resize(schedules_.size());
    for (size_t r = 0; r < schedules_.size(); ++r) {
      for (const Step& step : schedules_[r].steps) {
        uint32_t partner = 0;
        if (step.kind == StepKind::kSend) {
          const auto found =
              receives.find({static_cast<Rank>(r), step.peer, step.message});
          LH_CHECK(found != receives.end());
          partner = found->second;
        }
        partners_[r].push_back(partner);
      }
    }
  }

  void Push(double time, double tail, const Task& task, Stage stage) {
    events_.push({time, tail, pushed_++, task, stage});
  }

  void Begin(size_t rank, double now) {
    if (begun_[rank] == segments_) return;
    const uint64_t segment = begun_[rank]++;
    Progress& progress = hosts_[rank].under_way[segment];
    for (const Step& step : schedules_[rank].steps) {
      progress.missing.push_back(step.dependency_count);
    }
    progress.left = static_cast<uint32_t>(progress.missing.size());
    for (const uint32_t root : successors_[rank].roots) {
      Push(now, now, {segment, rank, root}, Stage::kReady);
    }
  }

  void Complete(const Task& task, double now) {
    timing_.seconds = std::max(timing_.seconds, now);
    Progress& progress = hosts_[task.rank].under_way.at(task.segment);
    for (const uint32_t next : successors_[task.rank].Of(task.step)) {
      if (--progress.missing[next] > 0) continue;
      Push(now, now, {task.segment, task.rank, next}, Stage::kReady);
    }
    if (--progress.left > 0) return;
    hosts_[task.rank].under_way.erase(task.segment);
    Begin(task.rank, now);
  }

  void Handle(const Event& event) {
    const Task& task = event.task;
    switch (event.stage) {
      case Stage::kReady:
        return Start(task, event.time);
      case Stage::kDone:
        return Complete(task, event.time);
      case Stage::kThere:
        return Meet({task.segment, static_cast<size_t>(StepOf(task).peer),
                     partners_[task.rank][task.step]},
                    event.time);
      default:
        return Pass(event);
    }
  }

  void Start(const Task& task, double now) {
    const Step& step = StepOf(task);
    if (step.kind == StepKind::kRecv) return Meet(task, now);
    const bool send = step.kind == StepKind::kSend;
    const double seconds =
        send ? parameters_.message_seconds
             : BytesOf(task) * step.source_count / parameters_.reduce_rate;
    Work(task, now, seconds, send ? Stage::kOut : Stage::kDone);
  }

  // The rank's processor spends time on a step.
  void Work(const Task& task, double now, double seconds, Stage next) {
    const double end =
        hosts_[task.rank].processor.Serve(now, seconds) + seconds;
    Push(end, end, task, next);
  }

  // The message has arrived, or its receive is posted; the second of the two
  // completes it.
  void Meet(const Task& receive, double now) {
    auto& waiting = hosts_[receive.rank].waiting;
    const auto [place, first] = waiting.emplace(receive.segment, receive.step);
    if (first) return;
    waiting.erase(place);
    Work(receive, now, parameters_.message_seconds, Stage::kDone);
  }

  // One stage of a message's way.
  void Pass(const Event& event) {
    const Task& task = event.task;
    const Rank to = StepOf(task).peer;
    const SiteIndex a = topology_.SiteOf(static_cast<Rank>(task.rank));
    const SiteIndex b = topology_.SiteOf(to);
    const double lan = 1 / parameters_.lan_rate;
    const double wan = 8 / parameters_.goodput;  // bits of line per byte
    switch (event.stage) {
      case Stage::kOut: {
        Count(task, a != b);
        const double gone =
            a == b ? Hop(event, hosts_[task.rank].out, lan,
                         parameters_.lan_delay, Stage::kIn)
                   : Hop(event, hosts_[task.rank].out, lan, 0, Stage::kUp);
        return Push(gone, gone, task, Stage::kDone);
      }
      case Stage::kUp:
        WaitForUp(event, a, to);
        return;
      case Stage::kUpFree:
        up_[static_cast<size_t>(a)].serving = false;
        return TakeUp(a, event.time);
      case Stage::kBetween:
        return PassBetween(event, lines_.at({a, b}));
      case Stage::kDown:
        Hop(event, down_[static_cast<size_t>(b)], wan / topology_.WanDown(b), 0,
            Stage::kIn);
        return;
      default:
        Hop(event, hosts_[static_cast<size_t>(to)].in, lan, 0, Stage::kThere);
    }
  }

  void WaitForUp(const Event& event, SiteIndex site, Rank to) {
    SharedLine& line = up_[static_cast<size_t>(site)];
    SharedLine::Stream& stream = line.streams[{event.task.rank, to}];
    if (stream.waiting.empty()) {
      stream.taken = std::max(stream.taken, line.taken);
    }
    stream.waiting.push_back(event);
    if (!line.serving) TakeUp(site, event.time);
  }

  void TakeUp(SiteIndex site, double now) {
    SharedLine& line = up_[static_cast<size_t>(site)];
    SharedLine::Stream* next = nullptr;
    for (auto& [ranks, stream] : line.streams) {
      if (stream.waiting.empty()) continue;
      if (next == nullptr || stream.taken < next->taken) next = &stream;
    }
    if (next == nullptr) return;
    const Event event = next->waiting.front();
    next->waiting.pop_front();
    const double seconds =
        BytesOf(event.task) * 8 / parameters_.goodput / topology_.WanUp(site);
    line.taken = next->taken;
    next->taken += seconds;
    line.busy += seconds;
    line.serving = true;
    Push(now + seconds, now + seconds, event.task, Stage::kUpFree);
    Push(now, std::max(event.tail, now + seconds), event.task, Stage::kBetween);
  }

  // By the route on which the message is there first.
  void PassBetween(const Event& event, std::vector<Line>& lines) {
    Line* best = nullptr;
    double least = std::numeric_limits<double>::infinity();
    for (Line& line : lines) {
      const double start = std::max(event.time, line.resource.free);
      const double end = start + BytesOf(event.task) * line.per_byte;
      const double there = std::max(event.tail, end) + line.delay;
      if (there >= least) continue;
      best = &line;
      least = there;
    }
    Hop(event, best->resource, best->per_byte, best->delay, Stage::kDown);
  }

  // Serves the message at a resource; it is at the next stage `delay` later:
  // with its first byte, at kThere with its last. Returns when the resource is
  // done with it.
  double Hop(const Event& event, Resource& resource, double per_byte,
             double delay, Stage next) {
    const double seconds = BytesOf(event.task) * per_byte;
    const double start = resource.Serve(event.time, seconds);
    const double tail = std::max(event.tail, start + seconds) + delay;
    Push(next == Stage::kThere ? tail : start + delay, tail, event.task, next);
    return start + seconds;
  }

  void Count(const Task& task, bool wan) {
    if (!wan) {
      ++timing_.lan_messages;
      return;
    }
    ++timing_.wan_messages;
    timing_.wan_bytes += BytesOf(task);
  }

  std::span<const Schedule> schedules_;
  double element_size_;
  const Topology& topology_;
  const CostParameters& parameters_;
  uint64_t segments_;
  std::vector<Host> hosts_;      // by rank
  std::vector<uint64_t> begun_;  // segments, by rank
  std::vector<SharedLine> up_;   // by site
  std::vector<Resource> down_;
  std::map<std::pair<SiteIndex, SiteIndex>, std::vector<Line>> lines_;
  std::vector<Successors> successors_;
  std::vector<std::vector<uint32_t>> partners_;
  std::priority_queue<Event, std::vector<Event>, Later> events_;
  uint64_t pushed_ = 0;
  Timing timing_;
};

}  // namespace

Timing Simulate(std::span<const Schedule> ranks, size_t element_size,
                const Topology& topology, const CostParameters& parameters,
                uint64_t segments, uint64_t in_flight) {
  return Simulator(ranks, element_size, topology, parameters, segments,
                   in_flight)
      .Run();
}

}  // namespace longhaul
