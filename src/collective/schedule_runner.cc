#include "collective/schedule_runner.h"

#include <algorithm>
#include <cinttypes>
#include <utility>

#include "base/check.h"
#include "base/fnv1a.h"
#include "base/text.h"
#include "collective/selector.h"
#include "compute/reduce.h"

namespace longhaul {
namespace {

/// Steps run in one turn, so that arithmetic does not keep sockets waiting.
constexpr size_t kStepsPerTurn = 64;
/// Steps that may be ready before there is an allocation.
constexpr size_t kUsuallyReady = 4096;
/// More news of operations that have not begun here is a defect or an attack.
constexpr size_t kMaxToldEarly = 4096;

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
  return Text("an all-reduce of %s (%s, %s, segments of %u)", what.c_str(), op,
              NameOf(algorithm), f.segment);
}

bool IsOfBlocks(Collective collective) {
  return collective == Collective::kAllGather ||
         collective == Collective::kReduceScatter;
}

// What a reader cannot see in a place or in shares, which are hashes.
const char* HintOn(Fingerprint one, const Fingerprint& other) {
  if (one.root == other.root) return "";
  one.root = other.root;
  one.segment = other.segment;
  if (!(one == other)) return "";
  return IsOfBlocks(static_cast<Collective>(one.collective))
             ? ": the blocks or the windows' offsets differ"
             : ": the sites' shares differ";
}

// Stands in a fingerprint for the numbers it has no room for.
uint32_t PlaceOf(const OperationCall& call) {
  uint64_t hash = kFnv1aStart;
  for (const uint64_t number : {call.block, call.offset}) {
    for (int shift = 0; shift < 64; shift += 8) {
      hash = Fnv1a(hash, static_cast<uint8_t>(number >> shift));
    }
  }
  return static_cast<uint32_t>(hash ^ hash >> 32);
}

}  // namespace

ScheduleRunner::ScheduleRunner(Engine& engine, const Topology& topology,
                               PeerDirectory& peers, const RunnerConfig& config)
    : Pollable(engine),
      topology_(topology),
      peers_(peers),
      config_(config),
      planner_(topology, config.self),
      shares_(SharesOf(topology)),
      own_operations_(new OperationTable(this)),
      cache_(topology, config.self),
      by_rank_(static_cast<size_t>(topology.size()), nullptr) {
  ready_.reserve(kUsuallyReady);
  ended_.reserve(kMaxSegmentsInFlight);
  idle_scratch_.reserve(kMaxSegmentsInFlight);
  active_.reserve(OperationTable::kSize);
}

ScheduleRunner::~ScheduleRunner() {
  LH_CHECK(idle());
  if (asked_ != nullptr) asked_->Release();
  own_operations_->Drop();
  for (Connection* connection : attached_) {
    connection->Detach(config_.communicator,
                       static_cast<uint32_t>(config_.self));
  }
}

template <typename T>
T* ScheduleRunner::Take(std::vector<std::unique_ptr<T>>* pool,
                        std::vector<T*>* idle) {
  if (idle->empty()) {
    pool->push_back(std::make_unique<T>());
    idle->reserve(pool->size());
    return pool->back().get();
  }
  T* item = idle->back();
  idle->pop_back();
  return item;
}

Connection& ScheduleRunner::Peer(Rank rank) {
  Connection*& connection = by_rank_[static_cast<size_t>(rank)];
  if (connection == nullptr) {
    connection = &peers_.To(rank);
    if (std::find(attached_.begin(), attached_.end(), connection) ==
        attached_.end()) {
      attached_.push_back(connection);
      connection->Attach(config_.communicator,
                         static_cast<uint32_t>(config_.self), *this);
    }
  }
  return *connection;
}

// --- Operations begin

void ScheduleRunner::Start(Operation& operation, TimePoint /*now*/) {
  if (!held_.empty() || !MayBegin(operation)) {
    held_.push_back(&operation);
  } else {
    BeginInTurn(operation);
  }
}

// What waits for rates begins when they are there, or when nothing is done any
// more.
void ScheduleRunner::BeginHeld() {
  if (use_at_once_ && asked_->Done()) UseRates();
  while (!held_.empty() && MayBegin(*held_.front())) {
    Operation* operation = held_.front();
    held_.pop_front();
    BeginInTurn(*operation);
  }
}

bool ScheduleRunner::UsesRates(const Operation& operation) const {
  return asked_ != nullptr &&
         planner_.TurnOf(operation.call) == RatePlanner::Turn::kUse;
}

bool ScheduleRunner::MayBegin(const Operation& operation) const {
  return !broken_.ok() || !UsesRates(operation) || asked_->Done();
}

void ScheduleRunner::BeginInTurn(Operation& operation) {
  const bool ask = planner_.TurnOf(operation.call) == RatePlanner::Turn::kAsk;
  if (UsesRates(operation) && asked_->Done()) UseRates();
  planner_.Count(operation.call);
  Begin(operation);
  if (ask) Ask();
}

void ScheduleRunner::AgreeOnRates() {
  if (!planner_.Matters() || asked_ != nullptr) return;
  use_at_once_ = true;
  Ask();
}

void ScheduleRunner::Ask() {
  if (asked_ != nullptr) return;
  asked_ = own_operations_->Acquire();
  LineRates seen = peers_.Lines();
  // At the start padding fills all lines, and who receives may be the limit.
  if (use_at_once_) seen.limited = false;
  asked_->call = planner_.Ask(seen);
  Begin(*asked_);
}

void ScheduleRunner::UseRates() {
  const bool summed = asked_->status().ok();
  std::exchange(asked_, nullptr)->Release();
  const bool at_once = std::exchange(use_at_once_, false);
  if (summed && planner_.Use(shares_, at_once)) {
    SetShares(SharesOf(planner_.topology()));
  }
}

void ScheduleRunner::SetShares(const SiteShares& shares) {
  LH_CHECK(shares.sites() == topology_.site_count());
  shares_ = shares;
  choices_ = {};
}

void ScheduleRunner::Begin(Operation& operation) {
  const uint64_t sequence = next_sequence_++;
  if (!broken_.ok()) {
    aborted_[sequence % kRemembered] = true;
    operation.Complete(broken_);
    return;
  }
  Run* run = Take(&runs_, &idle_runs_);
  run->segments.reserve(kMaxSegmentsInFlight);  // whatever it runs next
  run->operation = &operation;
  run->sequence = sequence;
  run->launched = run->ended = run->lent = 0;
  run->failure = Status();
  run->cancelled = false;
  active_.push_back(run);
  if (sequence >= closed_from_) Fail(*run, closed_);
  const Status prepared = Prepare(*run);
  if (!prepared.ok()) Fail(*run, prepared);
  CheckEarlyNews(*run);
  Wake();
}

Result<OperationPlan> ScheduleRunner::PlanBlocks(
    const OperationCall& call) const {
  Status buildable = CheckBuildable(topology_, Algorithm::kHierarchical);
  if (!buildable.ok()) return buildable;
  return OperationPlan::ForBlocks(
      call.collective, call.block, {call.offset, call.offset + call.count},
      SizeOf(call.type), topology_, config_.segments);
}

Result<OperationPlan> ScheduleRunner::PlanVector(const OperationCall& call) {
  const size_t element_size = SizeOf(call.type);
  Choice& choice =
      choices_[(call.count * 0x9e3779b97f4a7c15u + element_size) >> 58];
  if (!choice.valid || choice.count != call.count ||
      choice.element_size != element_size) {
    const Result<Algorithm> algorithm = AlgorithmFor(call.count, element_size);
    if (!algorithm.ok()) return algorithm.status();
    Result<OperationPlan> plan =
        OperationPlan::ForVector(*algorithm, shares_, call.count, element_size,
                                 planner_.topology(), config_.segments);
    if (!plan.ok()) return plan;
    choice = {true, call.count, element_size, *plan};
  }
  return choice.plan;
}

Status ScheduleRunner::Prepare(Run& run) {
  const OperationCall& call = run.operation->call;
  const bool blocks = IsOfBlocks(call.collective);
  run.plan = {};
  run.element_size = SizeOf(call.type);
  run.fingerprint = {};
  run.fingerprint.count = call.count;
  run.fingerprint.collective = static_cast<uint8_t>(call.collective);
  run.fingerprint.type = static_cast<uint8_t>(call.type);
  run.fingerprint.op = static_cast<uint8_t>(call.op);
  if (blocks) run.fingerprint.root = PlaceOf(call);
  const Result<OperationPlan> plan =
      blocks ? PlanBlocks(call) : PlanVector(call);
  if (!plan.ok()) return plan.status();
  run.plan = *plan;
  run.fingerprint.algorithm = static_cast<uint8_t>(plan->algorithm());
  if (plan->algorithm() == Algorithm::kSharded) {
    run.fingerprint.root = plan->shares().Hash();
  }
  run.fingerprint.segment = static_cast<uint32_t>(plan->segment_elements());
  return {};
}

// What was heard of the operation before it began here.
void ScheduleRunner::CheckEarlyNews(Run& run) {
  const auto told = told_early_.find(run.sequence);
  if (told != told_early_.end()) {
    Fail(run, told->second);
    told_early_.erase(told);
  }
  for (Connection* connection : attached_) {
    connection->ForEachUnexpected(
        {config_.communicator, static_cast<uint32_t>(config_.self), 0,
         run.sequence},
        [&](const ChunkHeader& header) { CompareWith(run, header); });
  }
}

void ScheduleRunner::CompareWith(Run& run, const ChunkHeader& header) {
  if (header.fingerprint == run.fingerprint || !run.failure.ok()) return;
  Fail(run, Status(StatusCode::kInvalidArgument,
                   Text("ranks disagree on operation %llu: rank %u called %s, "
                        "rank %d %s%s",
                        static_cast<unsigned long long>(run.sequence),
                        header.id.source, Describe(header.fingerprint).c_str(),
                        config_.self, Describe(run.fingerprint).c_str(),
                        HintOn(header.fingerprint, run.fingerprint))));
}

// --- Segments and steps

void ScheduleRunner::Poll(uint32_t /*events*/, TimePoint /*now*/) {
  for (size_t i = 0; i < active_.size(); ++i) {
    if (!active_[i]->failure.ok() && !active_[i]->cancelled) {
      ActOnFailure(*active_[i]);
    }
  }
  do {
    RunSteps();
    RetireSegments();
  } while (LaunchSegments());
  EndRuns();
  BeginHeld();
  if (next_ready_ < ready_.size()) Wake();
}

bool ScheduleRunner::LaunchSegments() {
  bool any = false;
  for (Run* run : active_) {
    if (!run->failure.ok()) continue;
    while (run->launched < run->plan.segments()) {
      const PlannedSegment planned = run->plan.At(run->launched);
      ScheduleCache::Hold ready = cache_.Get(planned.shape);
      const size_t need = ready->schedule.scratch_count * run->element_size;
      const bool room =
          run->launched - run->ended < run->plan.in_flight() &&
          scratch_in_flight_ + need <= config_.segments.scratch_size;
      // In order: what is first in line may go whatever it needs, so that
      // every rank gets to the same segment in the end.
      if (!room && scratch_in_flight_ > 0) return any;
      if (!room && run->launched > run->ended) return any;
      Launch(*run, planned, std::move(ready));
      any = true;
    }
  }
  return any;
}

void ScheduleRunner::Launch(Run& run, const PlannedSegment& planned,
                            ScheduleCache::Hold ready) {
  Segment* segment = Take(&segments_, &idle_segments_);
  segment->run = &run;
  segment->index = run.launched++;
  segment->input = planned.input;
  segment->output = planned.output;
  segment->ready.emplace(std::move(ready));
  const Schedule& schedule = segment->schedule();
  const size_t steps = schedule.steps.size();
  // As long as any was so far, so that reuse by other schedules costs nothing.
  most_steps_ = std::max(most_steps_, steps);
  if (segment->sends.size() < steps) {
    segment->sends = std::vector<StepSend>(most_steps_);
    segment->recvs = std::vector<StepRecv>(most_steps_);
    segment->waiting.resize(most_steps_);
  }
  for (size_t i = 0; i < steps; ++i) {
    segment->waiting[i] = schedule.steps[i].dependency_count;
  }
  const size_t scratch = schedule.scratch_count * run.element_size;
  segment->scratch = TakeScratch(scratch);
  scratch_in_flight_ += scratch;
  segment->left = static_cast<uint32_t>(steps);
  run.segments.push_back(segment);
  for (const uint32_t root : segment->successors().roots) {
    ready_.push_back({segment, root});
  }
  if (steps == 0) ended_.push_back(segment);
}

// The smallest that is there and suffices; else one that is there makes room
// for a larger one.
ScheduleRunner::Scratch ScheduleRunner::TakeScratch(size_t size) {
  if (size == 0) return {};
  const auto better = [size](const Scratch& a, const Scratch& b) {
    const bool fits = a.size >= size;
    if (fits != (b.size >= size)) return fits;
    return fits ? a.size < b.size : a.size > b.size;
  };
  Scratch scratch;
  const auto best =
      std::min_element(idle_scratch_.begin(), idle_scratch_.end(), better);
  if (best != idle_scratch_.end()) {
    scratch = std::move(*best);
    std::swap(*best, idle_scratch_.back());
    idle_scratch_.pop_back();
  }
  if (scratch.size < size) {
    scratch.bytes.reset();
    scratch = {size, std::unique_ptr<uint8_t[]>(new uint8_t[size])};
  }
  return scratch;
}

void ScheduleRunner::RunSteps() {
  for (size_t n = 0; next_ready_ < ready_.size() && n < kStepsPerTurn; ++n) {
    const ReadyStep ready = ready_[next_ready_++];
    if (ready.segment->run->failure.ok()) RunStep(*ready.segment, ready.step);
  }
  if (next_ready_ == ready_.size()) {
    ready_.clear();
    next_ready_ = 0;
  }
}

void ScheduleRunner::RunStep(Segment& segment, uint32_t index) {
  const Step& step = segment.schedule().steps[index];
  switch (step.kind) {
    case StepKind::kSend:
      SendStep(segment, step, index);
      return;
    case StepKind::kRecv:
      RecvStep(segment, step, index);
      return;
    case StepKind::kReduce:
    case StepKind::kCopy:
      ReduceStep(segment, step);
      StepDone(segment, index);
      return;
  }
}

uint8_t* ScheduleRunner::At(const Segment& segment,
                            const Extent& extent) const {
  const Run& run = *segment.run;
  const size_t size = run.element_size;
  const OperationCall& call = run.operation->call;
  switch (extent.space) {
    case Space::kInput:
      return const_cast<uint8_t*>(call.input) +
             (segment.input + extent.offset) * size;
    case Space::kOutput:
      return call.output + (segment.output + extent.offset) * size;
    case Space::kScratch:
      return segment.scratch.bytes.get() + extent.offset * size;
  }
  return nullptr;
}

void ScheduleRunner::SendStep(Segment& segment, const Step& step,
                              uint32_t index) {
  const Extent& source = segment.schedule().SourcesOf(step)[0];
  StepSend& send = segment.sends[index];
  send.segment = &segment;
  send.step = index;
  send.id = {config_.communicator,
             0,
             segment.run->sequence,
             static_cast<uint32_t>(config_.self),
             static_cast<uint32_t>(step.peer),
             segment.index << 32 | step.message};
  send.fingerprint = segment.run->fingerprint;
  send.data = At(segment, source);
  send.size = source.count * segment.run->element_size;
  send.listener = this;
  ++segment.run->lent;
  Peer(step.peer).Send(send);
}

void ScheduleRunner::RecvStep(Segment& segment, const Step& step,
                              uint32_t index) {
  StepRecv& recv = segment.recvs[index];
  recv.segment = &segment;
  recv.step = index;
  recv.id = {config_.communicator,
             0,
             segment.run->sequence,
             static_cast<uint32_t>(step.peer),
             static_cast<uint32_t>(config_.self),
             segment.index << 32 | step.message};
  recv.fingerprint = segment.run->fingerprint;
  recv.data = At(segment, step.target);
  recv.size = step.target.count * segment.run->element_size;
  recv.listener = this;
  ++segment.run->lent;
  Peer(step.peer).Recv(recv);
}

void ScheduleRunner::ReduceStep(Segment& segment, const Step& step) {
  const OperationCall& call = segment.run->operation->call;
  operands_.clear();
  for (const Extent& source : segment.schedule().SourcesOf(step)) {
    operands_.push_back(At(segment, source));
  }
  uint8_t* target = At(segment, step.target);
  if (step.kind == StepKind::kCopy && operands_[0] == target) return;
  const bool divide = step.final && call.op == ReduceOp::kAvg;
  Reduce({call.type, call.op,
          divide ? static_cast<uint32_t>(topology_.size()) : 1},
         target, operands_, step.target.count);
}

void ScheduleRunner::StepDone(Segment& segment, uint32_t step) {
  for (const uint32_t next : segment.successors().Of(step)) {
    if (--segment.waiting[next] == 0) ready_.push_back({&segment, next});
  }
  if (--segment.left == 0) ended_.push_back(&segment);
}

void ScheduleRunner::MessageBack(Segment& segment, uint32_t step,
                                 const Status& status) {
  Run& run = *segment.run;
  --run.lent;
  if (!status.ok()) {
    Fail(run, status);
  } else if (run.failure.ok()) {
    StepDone(segment, step);
  }
  Wake();
}

void ScheduleRunner::OnSent(SendOp& op, const Status& status) {
  auto& send = static_cast<StepSend&>(op);
  MessageBack(*send.segment, send.step, status);
}

void ScheduleRunner::OnReceived(RecvOp& op, const Status& status) {
  auto& recv = static_cast<StepRecv&>(op);
  MessageBack(*recv.segment, recv.step, status);
}

// --- Segments and operations end

void ScheduleRunner::RetireSegments() {
  for (Segment* segment : ended_) {
    Run& run = *segment->run;
    ++run.ended;
    run.segments.erase(
        std::find(run.segments.begin(), run.segments.end(), segment));
    Retire(*segment);
  }
  ended_.clear();
}

void ScheduleRunner::Retire(Segment& segment) {
  scratch_in_flight_ -=
      segment.schedule().scratch_count * segment.run->element_size;
  if (segment.scratch.size > 0) {
    idle_scratch_.push_back(std::move(segment.scratch));
    segment.scratch = {};
  }
  segment.ready.reset();
  segment.run = nullptr;
  idle_segments_.push_back(&segment);
}

void ScheduleRunner::EndRuns() {
  for (size_t i = 0; i < active_.size();) {
    Run& run = *active_[i];
    const bool done = run.failure.ok() ? run.ended == run.plan.segments()
                                       : run.cancelled && run.lent == 0;
    if (!done) {
      ++i;
      continue;
    }
    active_.erase(active_.begin() + static_cast<std::ptrdiff_t>(i));
    End(run);
  }
}

void ScheduleRunner::End(Run& run) {
  aborted_[run.sequence % kRemembered] = !run.failure.ok();
  if (!run.failure.ok()) {
    const auto gone = [&run](const Segment* segment) {
      return segment->run == &run;
    };
    std::erase_if(ended_, gone);
    ready_.erase(ready_.begin(),
                 ready_.begin() + static_cast<std::ptrdiff_t>(next_ready_));
    next_ready_ = 0;
    std::erase_if(ready_, [&](const ReadyStep& r) { return gone(r.segment); });
    for (Segment* segment : run.segments) Retire(*segment);
    run.segments.clear();
  }
  for (Connection* connection : attached_) {
    connection->Forget({config_.communicator,
                        static_cast<uint32_t>(config_.self), 0, run.sequence});
  }
  Operation* operation = std::exchange(run.operation, nullptr);
  const Status status = run.failure;
  idle_runs_.push_back(&run);
  operation->Complete(status);
}

// --- What goes wrong

ScheduleRunner::Run* ScheduleRunner::Find(uint64_t sequence) const {
  for (Run* run : active_) {
    if (run->sequence == sequence) return run;
  }
  return nullptr;
}

OperationState ScheduleRunner::StateOf(uint32_t /*epoch*/,
                                       uint64_t sequence) const {
  if (sequence >= next_sequence_) return OperationState::kOpen;
  if (const Run* run = Find(sequence)) {
    return run->failure.ok() ? OperationState::kOpen : OperationState::kAborted;
  }
  return aborted_[sequence % kRemembered] ? OperationState::kAborted
                                          : OperationState::kDone;
}

void ScheduleRunner::OnUnexpected(Connection& /*from*/,
                                  const ChunkHeader& header) {
  if (Run* run = Find(header.id.sequence)) CompareWith(*run, header);
}

void ScheduleRunner::OnDisagreement(Connection& /*from*/, const RecvOp& op,
                                    const ChunkHeader& header) {
  Run* run = Find(op.id.sequence);
  if (run == nullptr) return;
  CompareWith(*run, header);
  if (!run->failure.ok()) return;
  // The same operation, yet another message: the ranks see different sites.
  Fail(*run,
       Status(
           StatusCode::kInvalidArgument,
           Text("ranks disagree on the schedule of operation %llu: "
                "rank %u sent %llu bytes where rank %d expects %llu; "
                "is the topology the same everywhere?",
                static_cast<unsigned long long>(run->sequence),
                header.id.source, static_cast<unsigned long long>(header.total),
                config_.self, static_cast<unsigned long long>(op.size))));
}

void ScheduleRunner::OnNotice(Connection& /*from*/, const Notice& notice) {
  if (notice.status.scope() == FaultScope::kCommunicator) {
    if (notice.status.code() == StatusCode::kAborted) {
      CloseFrom(notice.sequence, notice.status);
    } else {
      Break(notice.status);
    }
    return;
  }
  if (Run* run = Find(notice.sequence)) {
    Fail(*run, notice.status);
  } else if (notice.sequence >= next_sequence_ &&
             told_early_.size() < kMaxToldEarly) {
    told_early_.emplace(notice.sequence, notice.status);
  }
}

void ScheduleRunner::OnFault(Connection& /*from*/, const Status& why) {
  Break(Status(why.code(), why.text(), FaultScope::kCommunicator));
}

// A rank has left. It has done its part in all operations before `sequence`,
// which may still be under way here.
void ScheduleRunner::CloseFrom(uint64_t sequence, const Status& why) {
  if (sequence >= closed_from_) return;
  closed_from_ = sequence;
  closed_ = why;
  for (Run* run : active_) {
    if (run->sequence >= sequence) Fail(*run, why);
  }
}

void ScheduleRunner::Abort(const Status& why) {
  if (broken_.ok()) {
    broken_ = Status(why.code(), why.text(), FaultScope::kCommunicator);
    Say(next_sequence_,
        Status(StatusCode::kAborted,
               Text("rank %d has closed the communicator", config_.self),
               FaultScope::kCommunicator));
  }
  for (Run* run : active_) Fail(*run, why);
  Wake();
}

void ScheduleRunner::Break(const Status& why) {
  if (!broken_.ok()) return;
  broken_ = why;
  Say(next_sequence_, why);
  for (Run* run : active_) Fail(*run, why);
  Wake();
}

// Takes note; Poll acts on it, outside of any connection's calls.
void ScheduleRunner::Fail(Run& run, const Status& why) {
  if (run.failure.ok()) run.failure = why;
  Wake();
}

// Every message comes back, and every peer hears of it.
void ScheduleRunner::ActOnFailure(Run& run) {
  run.cancelled = true;
  for (Segment* segment : run.segments) {
    const size_t steps = segment->schedule().steps.size();
    for (size_t i = 0; i < steps; ++i) {
      const Step& step = segment->schedule().steps[i];
      StepSend& send = segment->sends[i];
      StepRecv& recv = segment->recvs[i];
      if (step.kind == StepKind::kSend && send.state != SendOp::State::kIdle) {
        Peer(step.peer).Cancel(send, run.failure);
      } else if (step.kind == StepKind::kRecv && recv.posted) {
        Peer(step.peer).Cancel(recv, run.failure);
      }
    }
  }
  Say(run.sequence, run.failure);
}

void ScheduleRunner::Say(uint64_t sequence, const Status& why) {
  for (Connection* connection : attached_) {
    connection->Tell({config_.communicator, 0, sequence, why});
  }
}

}  // namespace longhaul
