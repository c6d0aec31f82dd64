#include "collective/schedule_runner.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "collective/fingerprint.h"

namespace longhaul {
namespace {

/// Steps that may be ready before there is an allocation.
constexpr size_t kUsuallyReady = 4096;

}  // namespace

ScheduleRunner::ScheduleRunner(Engine& engine, const Topology& topology,
                               PeerDirectory& peers, const RunnerConfig& config)
    : Pollable(engine),
      topology_(topology),
      peers_(peers),
      config_(config),
      codecs_(config.codec),
      feedback_(config.feedback_memory),
      planner_(topology, config.self, codecs_.chooses()),
      shares_(SharesOf(topology)),
      own_operations_(new OperationTable(this)),
      cache_(topology, config.self),
      by_rank_(static_cast<size_t>(topology.size()), nullptr) {
  for (const CodecOffer& offer : codecs_.offers()) {
    codec_counters_.push_back({.codec = offer.spec()});
  }
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

Status ScheduleRunner::PlanBlocks(const OperationCall& call,
                                  OperationPlan* plan) const {
  Status buildable = CheckBuildable(topology_, Algorithm::kHierarchical);
  if (!buildable.ok()) return buildable;
  const Result<OperationPlan> made = OperationPlan::ForBlocks(
      call.collective, call.block, {call.offset, call.offset + call.count},
      SizeOf(call.type), topology_, config_.segments);
  if (!made.ok()) return made.status();
  *plan = *made;
  return {};
}

Result<CodecChoice> ScheduleRunner::Choose(const OperationCall& call) const {
  return ChooseCodec({config_.algorithm, call.count, call.type, call.op},
                     codecs_, planner_.topology(), shares_, config_.segments);
}

Result<Algorithm> ScheduleRunner::AlgorithmFor(
    const OperationCall& call) const {
  const Result<CodecChoice> choice = Choose(call);
  if (!choice.ok()) return choice.status();
  return choice->algorithm;
}

CodecSpec ScheduleRunner::CodecFor(const OperationCall& call) const {
  const Result<CodecChoice> choice = Choose(call);
  if (!choice.ok() || choice->offer == nullptr) return {};
  return choice->offer->spec();
}

void ScheduleRunner::SetCodecSpeeds(std::span<const double> speeds) {
  codecs_.SetSpeeds(speeds);
  choices_ = {};
}

Status ScheduleRunner::PlanVector(const OperationCall& call, Run* run) {
  Choice& choice =
      choices_[HashOf({call.count, static_cast<uint64_t>(call.type),
                       static_cast<uint64_t>(call.op)}) %
               choices_.size()];
  if (!choice.valid || choice.count != call.count || choice.type != call.type ||
      choice.op != call.op) {
    const Result<CodecChoice> chosen = Choose(call);
    if (!chosen.ok()) return chosen.status();
    const CodecOffer* offer = chosen->offer;
    SegmentOptions segments = config_.segments;
    if (offer != nullptr) {
      segments.code_share = CodeShare(*offer->For(call.type, call.op));
    }
    const Result<OperationPlan> plan = OperationPlan::ForVector(
        chosen->algorithm, shares_, call.count, SizeOf(call.type),
        planner_.topology(), segments);
    if (!plan.ok()) return plan.status();
    choice = {true,    call.count, call.type,
              call.op, *plan,      plan->coded() ? offer : nullptr};
  }
  run->plan = choice.plan;
  run->offer = choice.offer;
  return {};
}

Status ScheduleRunner::Prepare(Run& run) {
  const OperationCall& call = run.operation->call;
  const bool blocks = IsOfBlocks(call.collective);
  run.plan = {};
  run.offer = nullptr;
  run.codec = nullptr;
  run.tensor = nullptr;
  run.element_size = SizeOf(call.type);
  run.fingerprint = {};
  run.fingerprint.count = call.count;
  run.fingerprint.collective = static_cast<uint8_t>(call.collective);
  run.fingerprint.type = static_cast<uint8_t>(call.type);
  run.fingerprint.op = static_cast<uint8_t>(call.op);
  if (blocks) run.fingerprint.root = Fold(HashOf({call.block, call.offset}));
  Status planned =
      blocks ? PlanBlocks(call, &run.plan) : PlanVector(call, &run);
  if (!planned.ok()) return planned;
  const OperationPlan& plan = run.plan;
  run.fingerprint.algorithm = static_cast<uint8_t>(plan.algorithm());
  if (plan.algorithm() == Algorithm::kSharded) {
    run.fingerprint.root = plan.shares().Hash();
  }
  if (run.offer != nullptr) {
    run.codec = run.offer->For(call.type, call.op);
    run.codec_use = &codec_counters_[static_cast<size_t>(
        run.offer - codecs_.offers().data())];
    ++run.codec_use->operations;
    run.tensor = TensorOf(run);
    run.fingerprint.root ^= Fold(HashOf({run.offer->spec().Word()}));
  }
  run.fingerprint.segment = static_cast<uint32_t>(plan.segment_elements());
  return {};
}

// Whose residuals are kept: a name is the owner's, else it is told by its
// place.
Feedback::Tensor* ScheduleRunner::TensorOf(const Run& run) {
  if (!config_.feedback || run.offer->ForFeedback() == nullptr) return nullptr;
  const OperationCall& call = run.operation->call;
  TensorKey key = {call.tensor, 0, 0};
  if (call.tensor == 0) {
    key.address = reinterpret_cast<uintptr_t>(call.input);
    key.count = call.count;
  }
  return feedback_.Hold(key, call.count);
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
      const size_t need = ScratchOf(*run, ready->schedule);
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
  const size_t scratch = ScratchOf(run, schedule);
  segment->scratch = TakeScratch(scratch);
  scratch_in_flight_ += scratch;
  if (run.codec != nullptr && !run.codec->fixed_rate()) {
    segment->code_sizes.resize(schedule.code_count / kCodeGrain);
  }
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
  if (recv.at_most) {
    const Segment& segment = *recv.segment;
    Measure(*recv.segment, segment.schedule().steps[recv.step].target,
            recv.size);
  }
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
  scratch_in_flight_ -= ScratchOf(*segment.run, segment.schedule());
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
  if (run.tensor != nullptr) {
    feedback_.LetGo(*std::exchange(run.tensor, nullptr));
  }
  Operation* operation = std::exchange(run.operation, nullptr);
  const Status status = run.failure;
  idle_runs_.push_back(&run);
  operation->Complete(status);
}

}  // namespace longhaul
