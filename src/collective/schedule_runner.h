// Plays schedules: for one rank of one communicator it starts operations in
// order, keeps several segments of them in flight, hands their messages to
// connections and does their arithmetic.
//
// A fault of any kind ends the operation on this rank and is told to every
// peer, so that it ends everywhere; a lost peer ends the communicator.
//
// Engine thread only.
#pragma once

#include <longhaul/counters.h>
#include <longhaul/options.h>
#include <longhaul/status.h>

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "collective/codec_choice.h"
#include "collective/codecs.h"
#include "collective/feedback.h"
#include "collective/operation.h"
#include "collective/operation_plan.h"
#include "collective/rate_planner.h"
#include "collective/schedule_cache.h"
#include "collective/selector.h"
#include "collective/site_shares.h"
#include "engine/engine.h"
#include "path/connection.h"
#include "topology/topology.h"

namespace longhaul {

/// Where connections come from.
class PeerDirectory {
 public:
  virtual ~PeerDirectory() = default;
  /// The connection to the process of a rank: opened when first asked for, and
  /// usable at once. Stays put as long as the directory does.
  virtual Connection& To(Rank rank) = 0;
  /// How fast the lines of this rank's process to other sites have been seen
  /// to be; nothing if another rank of the process tells that.
  virtual LineRates Lines() const { return {0, 0, true}; }
};

struct RunnerConfig {
  uint32_t communicator = 0;
  Rank self = 0;
  Algorithm algorithm = Algorithm::kAuto;  ///< of all-reduces and barriers
  SegmentOptions segments;
  CodecSpec codec;               ///< of what all-reduces send between sites
  bool feedback = false;         ///< of what the codec leaves out
  uint64_t feedback_memory = 0;  ///< bytes
};

class ScheduleRunner final : private Pollable,
                             private MessageListener,
                             private MessageObserver {
 public:
  /// `topology` and `peers` must outlive it.
  ScheduleRunner(Engine& engine, const Topology& topology, PeerDirectory& peers,
                 const RunnerConfig& config);
  /// Every operation must have ended: see Abort.
  ~ScheduleRunner() override;

  /// Begins an operation; it ends with Operation::Complete.
  void Start(Operation& operation, TimePoint now);
  /// Agrees with all ranks on the rates of the sites' lines as seen by now, to
  /// plan with. Between the same operations on all ranks; none may be begun
  /// before it is over. By itself the runner does so from time to time
  /// (rate_planner.h).
  void AgreeOnRates();
  bool agreeing() const { return use_at_once_; }
  /// The shares of sharded all-reduces that begin from now on; at first those
  /// of the topology. All ranks have to change between the same operations.
  void SetShares(const SiteShares& shares);
  /// What an all-reduce would use now.
  Result<Algorithm> AlgorithmFor(const OperationCall& call) const;
  /// What it would encode with now: kNone if with nothing.
  CodecSpec CodecFor(const OperationCall& call) const;
  /// How fast the codecs are here (Codecs::MeasureSpeeds), and how fast they
  /// are thought to be. All ranks have to change between the same operations.
  std::vector<double> MeasureCodecs() const { return codecs_.MeasureSpeeds(); }
  void SetCodecSpeeds(std::span<const double> speeds);
  bool ChoosesCodecs() const { return codecs_.chooses(); }
  /// What codecs have done here, by spec.
  const std::vector<CodecCounters>& codec_counters() const {
    return codec_counters_;
  }
  /// By which sharded all-reduces are cut that begin now.
  const SiteShares& shares() const { return shares_; }
  /// Ends everything in flight with `why` and refuses what comes.
  void Abort(const Status& why);
  /// Nothing is in flight.
  bool idle() const { return active_.empty() && held_.empty(); }

  /// Ok, or what has broken the communicator.
  const Status& status() const { return broken_; }

  uint64_t operations() const { return next_sequence_; }
  Feedback& feedback() { return feedback_; }

 private:
  struct Run;      ///< an operation in flight
  struct Segment;  ///< a segment in flight

  /// A message of a step, with the way back to it.
  struct StepSend : SendOp {
    Segment* segment = nullptr;
    uint32_t step = 0;
  };
  struct StepRecv : RecvOp {
    Segment* segment = nullptr;
    uint32_t step = 0;
  };
  struct Scratch {
    size_t size = 0;  ///< bytes
    std::unique_ptr<uint8_t[]> bytes;
  };
  struct Segment {
    Run* run = nullptr;
    uint64_t index = 0;
    uint64_t input = 0;   ///< which element of the call's its first one is
    uint64_t output = 0;  ///< likewise
    std::optional<ScheduleCache::Hold> ready;
    std::vector<uint32_t> waiting;  ///< per step: dependencies to come
    std::vector<StepSend> sends;    ///< per step
    std::vector<StepRecv> recvs;    ///< per step
    /// Bytes of codes by their place, in grains, where the rate is not fixed.
    std::vector<uint32_t> code_sizes;
    uint32_t left = 0;  ///< steps not complete
    Scratch scratch;

    const Schedule& schedule() const { return (*ready)->schedule; }
    const Successors& successors() const { return (*ready)->successors; }
  };
  struct Run {
    Operation* operation = nullptr;
    uint64_t sequence = 0;
    Fingerprint fingerprint;
    size_t element_size = 1;
    OperationPlan plan;
    const CodecOffer* offer = nullptr;   ///< if the plan is coded
    const Codec* codec = nullptr;        ///< of the offer, for the type
    CodecCounters* codec_use = nullptr;  ///< of the offer
    Feedback::Tensor* tensor = nullptr;  ///< if its residuals are kept
    uint64_t launched = 0;               ///< segments
    uint64_t ended = 0;                  ///< segments
    uint64_t lent = 0;                   ///< messages that connections hold
    Status failure;
    bool cancelled = false;          ///< the failure has been acted upon
    std::vector<Segment*> segments;  ///< in flight
  };
  struct Choice {
    bool valid = false;
    uint64_t count = 0;
    DataType type = DataType::kInt8;
    ReduceOp op = ReduceOp::kSum;
    OperationPlan plan;
    const CodecOffer* offer = nullptr;
  };

  void Poll(uint32_t events, TimePoint now) override;

  // MessageListener
  void OnSent(SendOp& op, const Status& status) override;
  void OnReceived(RecvOp& op, const Status& status) override;
  // MessageObserver
  OperationState StateOf(uint32_t epoch, uint64_t sequence) const override;
  void OnUnexpected(Connection& from, const ChunkHeader& header) override;
  void OnDisagreement(Connection& from, const RecvOp& op,
                      const ChunkHeader& header) override;
  void OnNotice(Connection& from, const Notice& notice) override;
  void OnFault(Connection& from, const Status& why) override;

  void BeginHeld();
  bool UsesRates(const Operation& operation) const;
  bool MayBegin(const Operation& operation) const;
  void BeginInTurn(Operation& operation);
  void Begin(Operation& operation);
  void Ask();
  void UseRates();
  Result<CodecChoice> Choose(const OperationCall& call) const;
  Status Prepare(Run& run);
  Status PlanBlocks(const OperationCall& call, OperationPlan* plan) const;
  Status PlanVector(const OperationCall& call, Run* run);
  void CheckEarlyNews(Run& run);
  void CompareWith(Run& run, const ChunkHeader& header);
  bool LaunchSegments();
  void Launch(Run& run, const PlannedSegment& planned,
              ScheduleCache::Hold ready);
  Scratch TakeScratch(size_t size);
  void RunSteps();
  void RunStep(Segment& segment, uint32_t step);
  void SendStep(Segment& segment, const Step& step, uint32_t index);
  void RecvStep(Segment& segment, const Step& step, uint32_t index);
  void ReduceStep(Segment& segment, const Step& step);
  void EncodeStep(Segment& segment, const Step& step, uint32_t index);
  bool DecodeStep(Segment& segment, const Step& step);
  Feedback::Tensor* TensorOf(const Run& run);
  uint64_t SeedOf(const Segment& segment, uint32_t step) const;
  void StepDone(Segment& segment, uint32_t step);
  void MessageBack(Segment& segment, uint32_t step, const Status& status);
  void RetireSegments();
  void Retire(Segment& segment);
  void EndRuns();
  void End(Run& run);
  void Fail(Run& run, const Status& why);
  void ActOnFailure(Run& run);
  void Break(const Status& why);
  void CloseFrom(uint64_t sequence, const Status& why);
  void Say(uint64_t sequence, const Status& why);
  Run* Find(uint64_t sequence) const;
  Connection& Peer(Rank rank);
  uint8_t* At(const Segment& segment, const Extent& extent) const;
  static bool IsMeasured(const Segment& segment, const Extent& extent);
  static size_t RoomFor(const Run& run, const Extent& extent);
  static size_t BytesOf(const Segment& segment, const Extent& extent);
  static void Measure(Segment& segment, const Extent& code, size_t bytes);
  static size_t CodesBegin(const Run& run, const Schedule& schedule);
  static size_t ScratchOf(const Run& run, const Schedule& schedule);
  template <typename T>
  static T* Take(std::vector<std::unique_ptr<T>>* pool, std::vector<T*>* idle);

  const Topology& topology_;
  PeerDirectory& peers_;
  const RunnerConfig config_;
  Codecs codecs_;
  std::vector<CodecCounters> codec_counters_;  ///< by offer
  Feedback feedback_;
  RatePlanner planner_;
  SiteShares shares_;  ///< of sharded all-reduces that begin
  OperationTable* own_operations_;
  Operation* asked_ = nullptr;  ///< sums rates, or its sum is to be used
  bool use_at_once_ = false;
  std::deque<Operation*> held_;  ///< begin when that has been done
  ScheduleCache cache_;
  std::array<Choice, 64> choices_;

  uint64_t next_sequence_ = 0;
  std::vector<std::unique_ptr<Run>> runs_;
  std::vector<Run*> idle_runs_;
  std::vector<std::unique_ptr<Segment>> segments_;
  std::vector<Segment*> idle_segments_;
  std::vector<Scratch> idle_scratch_;
  size_t most_steps_ = 0;     ///< of a schedule so far
  std::vector<Run*> active_;  ///< by sequence
  size_t scratch_in_flight_ = 0;

  struct ReadyStep {
    Segment* segment;
    uint32_t step;
  };
  std::vector<ReadyStep> ready_;
  size_t next_ready_ = 0;
  std::vector<Segment*> ended_;
  std::vector<const void*> operands_;
  std::vector<CodeView> codes_;

  std::vector<Connection*> by_rank_;
  std::vector<Connection*> attached_;

  /// Which of the last operations were aborted, by sequence modulo size.
  static constexpr uint64_t kRemembered = 1024;
  std::array<bool, kRemembered> aborted_{};
  /// Faults told of operations that have not begun here.
  std::map<uint64_t, Status> told_early_;
  Status broken_;
  /// Operations from this one on lack a rank that has closed.
  uint64_t closed_from_ = UINT64_MAX;
  Status closed_;
};

}  // namespace longhaul
