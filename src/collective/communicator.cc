#include <longhaul/communicator.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/text.h"
#include "collective/block_call.h"
#include "collective/communicator_maker.h"
#include "collective/context_impl.h"
#include "collective/operation.h"
#include "collective/schedule_runner.h"
#include "collective/selector.h"
#include "topology/topology_file.h"

namespace longhaul {
namespace {

constexpr std::chrono::milliseconds kPause(1);

}  // namespace

Result<std::unique_ptr<Context>> Context::Create(Options options) {
  Result<std::unique_ptr<Impl>> impl = Impl::Create(std::move(options));
  if (!impl.ok()) return impl.status();
  return std::unique_ptr<Context>(new Context(std::move(impl).value()));
}

Context::Context(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Context::~Context() = default;

const Options& Context::options() const { return impl_->options(); }

class Communicator::Impl final : public PeerDirectory {
 public:
  Impl(Context::Impl& context, Topology topology,
       CommunicatorMaker::Members members)
      : context_(context),
        self_(members.self),
        topology_(std::move(topology)),
        cards_(std::move(members.cards)) {
    const Options& options = context.options();
    segments_.segment_size = options.segment_size;
    segments_.scratch_size = options.scratch_size;
    context_.engine().Call([&](TimePoint) {
      runner_ = std::make_unique<ScheduleRunner>(
          context_.engine(), topology_, *this,
          RunnerConfig{members.communicator, members.self, members.algorithm,
                       segments_, members.codec, members.feedback,
                       options.feedback_memory});
    });
    table_ = new OperationTable(runner_.get());
  }

  ~Impl() override {
    const Status why(StatusCode::kAborted, "the communicator was closed",
                     FaultScope::kCommunicator);
    bool idle = false;
    Call([&] { runner_->Abort(why); });
    while (!idle) {
      Call([&] {
        idle = runner_->idle();
        if (idle) runner_.reset();
      });
      if (!idle) std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    table_->Drop();
  }

  Operation* Post(const OperationCall& call) {
    Operation* operation = table_->Acquire();
    if (operation == nullptr) return nullptr;
    operation->call = call;
    context_.engine().Post(operation);
    return operation;
  }

  Rank self() const { return self_; }
  const Topology& topology() const { return topology_; }

  Status status() const {
    Status status;
    Call([&] { status = runner_->status(); });
    return status;
  }

  Result<Algorithm> AlgorithmFor(size_t count, DataType type) const {
    Result<Algorithm> algorithm = Algorithm::kAuto;
    OperationCall call;
    call.count = count;
    call.type = type;
    Call([&] { algorithm = runner_->AlgorithmFor(call); });
    return algorithm;
  }
  /// Plans with the rates that the lines have been seen to have. Once on every
  /// rank, between the same operations.
  void AgreeOnRates() {
    bool agreeing = true;
    Call([&] { runner_->AgreeOnRates(); });
    for (;;) {
      Call([&] { agreeing = runner_->agreeing(); });
      if (!agreeing) return;
      std::this_thread::sleep_for(kPause);
    }
  }
  /// How fast codecs are, here and then on the slowest rank.
  std::vector<double> MeasureCodecs() const {
    std::vector<double> speeds;
    Call([&] {
      if (runner_->ChoosesCodecs()) speeds = runner_->MeasureCodecs();
    });
    return speeds;
  }
  void SetCodecSpeeds(std::span<const double> speeds) {
    Call([&] { runner_->SetCodecSpeeds(speeds); });
  }
  CodecSpec CodecFor(size_t count, DataType type) const {
    CodecSpec spec;
    OperationCall call;
    call.count = count;
    call.type = type;
    Call([&] { spec = runner_->CodecFor(call); });
    return spec;
  }
  std::vector<CodecCounters> CodecUse() const {
    std::vector<CodecCounters> counters;
    Call([&] { counters = runner_->codec_counters(); });
    return counters;
  }
  /// Of the sharded all-reduce, now.
  SiteShares Shares() const {
    SiteShares shares;
    Call([&] { shares = runner_->shares(); });
    return shares;
  }

  /// Have the connections between sites opened their windows?
  bool Warm() const {
    bool warm = true;
    Call([&] {
      for (const ProcessCard& card : cards_) {
        const Connection* connection = context_.Find(card.incarnation);
        warm = warm && (connection == nullptr || connection->warm());
      }
    });
    return warm;
  }

  void WithFeedback(const std::function<void(Feedback&)>& work) const {
    Call([&] { work(runner_->feedback()); });
  }

  std::vector<PeerCounters> Counters() const {
    std::vector<PeerCounters> all;
    Call([&] {
      std::vector<const Connection*> seen;
      for (Rank rank = 0; rank < topology_.size(); ++rank) {
        const Connection* connection =
            context_.Find(cards_[static_cast<size_t>(rank)].incarnation);
        if (connection == nullptr ||
            std::find(seen.begin(), seen.end(), connection) != seen.end()) {
          continue;
        }
        seen.push_back(connection);
        all.push_back(CountersOf(rank, connection->Counters()));
      }
    });
    return all;
  }

 private:
  template <typename Work>
  void Call(Work work) const {
    context_.engine().Call([&work](TimePoint) { work(); });
  }

  PeerCounters CountersOf(Rank rank, const ConnectionCounters& from) const {
    PeerCounters to;
    to.rank = rank;
    to.same_site = topology_.SameSite(self_, rank);
    to.flows = from.flows;
    to.bytes_sent = from.transport.bytes_sent;
    to.bytes_received = from.transport.bytes_received;
    to.payload_sent = from.out.bytes;
    to.payload_resent = from.out.resent_bytes;
    to.retransmits = from.transport.retransmits;
    to.unexpected_bytes = from.in.unexpected_bytes;
    to.credit_waits = from.out.credit_waits;
    to.padding_bytes = from.padding_bytes;
    to.delivery_rate = from.transport.delivery_rate;
    to.rtt = std::chrono::nanoseconds(from.transport.rtt);
    to.min_rtt = std::chrono::nanoseconds(from.transport.min_rtt);
    to.paths = from.paths;
    return to;
  }

  // One rank tells for all of its process.
  LineRates Lines() const override {
    for (Rank rank = 0; rank < self_; ++rank) {
      if (topology_.SameProcess(rank, self_)) return {0, 0, true};
    }
    const AccessMeter& access = context_.access();
    return {access.up(), access.down(), access.limited()};
  }

  Connection& To(Rank rank) override {
    const ProcessCard& card = cards_[static_cast<size_t>(rank)];
    const std::string peer =
        Text("rank %d (%s:%u, site %s)", rank, card.host.c_str(), card.pid,
             topology_.NameOf(topology_.SiteOf(rank)).c_str());
    return context_.ConnectionTo(card, peer, topology_.SameSite(self_, rank),
                                 PaceBoard::LineTo(card.site));
  }

  Context::Impl& context_;
  const Rank self_;
  const Topology topology_;
  const std::vector<ProcessCard> cards_;  ///< by rank
  SegmentOptions segments_;
  std::unique_ptr<ScheduleRunner> runner_;
  OperationTable* table_ = nullptr;
};

namespace {

/// A rank whose connections are not warm by then goes on all the same.
constexpr Duration kLongestWarmUp = 10 * kSecond;

// All ranks compare the same cards, so all come to the same answer.
Status CheckTopologyFiles(const std::vector<ProcessCard>& cards) {
  const uint64_t first = cards.front().topology;
  const auto other = std::find_if(
      cards.begin(), cards.end(),
      [first](const ProcessCard& card) { return card.topology != first; });
  if (other == cards.end()) return {};
  const char* what = "'s differs from rank 0's";
  if (first == 0) what = " has one, rank 0 has none";
  if (other->topology == 0) what = " has none, rank 0 has one";
  return {StatusCode::kInvalidArgument,
          Text("ranks disagree on the topology file: rank %td%s; "
               "LONGHAUL_TOPOLOGY must be the same everywhere",
               other - cards.begin(), what),
          FaultScope::kCommunicator};
}

// A barrier. Takes the communicator back if not every rank comes.
Status Meet(std::unique_ptr<Communicator>& communicator,
            std::chrono::nanoseconds patience) {
  Request barrier = communicator->Barrier();
  Status met = barrier.Wait(patience);
  if (barrier.Done()) return met;
  communicator.reset();  // ends the barrier
  return {StatusCode::kTimedOut,
          Text("not every rank was reached within %.1f s "
               "(LONGHAUL_CONNECT_TIMEOUT)",
               std::chrono::duration<double>(patience).count())};
}

// Who sits where, as every rank sees it.
Result<Topology> TopologyOf(const std::vector<ProcessCard>& cards,
                            const TopologyFile* file) {
  std::vector<Member> members;
  std::vector<uint64_t> processes;
  for (const ProcessCard& card : cards) {
    auto at = std::find(processes.begin(), processes.end(), card.incarnation);
    if (at == processes.end()) {
      at = processes.insert(processes.end(), card.incarnation);
    }
    members.push_back({card.site, card.host,
                       static_cast<int32_t>(at - processes.begin()),
                       card.wan_access});
  }
  return MakeTopology(members, file);
}

Status TooManyRequests() {
  return {StatusCode::kExhausted,
          Text("%d requests exist already: let go of those that are done",
               Communicator::kMaxRequests)};
}

// A vector too long to count is told by its block.
Window WholeVector(size_t block, Rank size) {
  return {0, block * static_cast<size_t>(size)};
}

}  // namespace

Result<std::unique_ptr<Communicator>> Communicator::Create(
    Context& context, const CommunicatorConfig& config) {
  Context::Impl& impl = *context.impl_;
  const Options& options = impl.options();
  const std::optional<Rank> rank = config.rank ? config.rank : options.rank;
  const std::optional<Rank> size =
      config.size ? config.size : options.world_size;
  if (!rank || !size) {
    return Status(StatusCode::kInvalidArgument,
                  "who am I? Set LONGHAUL_RANK and LONGHAUL_WORLD_SIZE (or "
                  "RANK and WORLD_SIZE, as torchrun does)");
  }
  if (*size < 1 || *rank < 0 || *rank >= *size) {
    return Status(StatusCode::kInvalidArgument,
                  Text("rank %d of %d ranks: ranks count from 0 to size - 1",
                       *rank, *size));
  }
  impl.log().SetRank(*rank);
  const TopologyFile* file = impl.topology_file();
  Result<std::string> site = ChooseSite(
      config.site.empty() ? options.site : config.site, file, impl.host());
  if (!site.ok()) return site.status();
  const SiteIndex in_file = file == nullptr ? -1 : file->FindSite(*site);
  const bool wan = in_file < 0 || file->HostHasWan(in_file, impl.host());

  Result<Context::Impl::Joined> joined =
      impl.Join(config.name, *rank, *size, *site, wan);
  if (!joined.ok()) return joined.status();
  return CommunicatorMaker::Make(
      impl,
      {*rank, joined->communicator, config.algorithm.value_or(options.algo),
       config.compress.value_or(options.compress),
       config.error_feedback.value_or(options.error_feedback),
       std::move(joined->cards)});
}

Result<std::unique_ptr<Communicator>> CommunicatorMaker::Make(
    Context::Impl& context, Members members) {
  const Status same_file = CheckTopologyFiles(members.cards);
  if (!same_file.ok()) return same_file;
  Result<Topology> topology =
      TopologyOf(members.cards, context.topology_file());
  if (!topology.ok()) return topology.status();
  const Result<Algorithm> chosen =
      SelectAlgorithm(members.algorithm, 0, 1, *topology, SharesOf(*topology));
  if (!chosen.ok()) return chosen.status();

  std::unique_ptr<Communicator> communicator(
      new Communicator(std::make_unique<Communicator::Impl>(
          context, std::move(topology).value(), std::move(members))));
  // Opens the connections that are needed, and shows that all are there.
  const std::chrono::nanoseconds patience = context.options().connect_timeout;
  Status met = Meet(communicator, patience);
  if (met.ok() && communicator->site_count() > 1) {
    // The padding of the warm-up is gone when a barrier has passed behind it.
    const TimePoint end = Now() + kLongestWarmUp;
    while (!communicator->impl_->Warm() && Now() < end) {
      std::this_thread::sleep_for(kPause);
    }
    met = Meet(communicator, patience);
    if (met.ok()) communicator->impl_->AgreeOnRates();
    if (met.ok()) met = communicator->AgreeOnCodecs();
  }
  if (!met.ok()) return met;
  return communicator;
}

Communicator::Communicator(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}
Communicator::~Communicator() = default;

Rank Communicator::rank() const { return impl_->self(); }
Rank Communicator::size() const { return impl_->topology().size(); }
int Communicator::site() const { return SiteOf(rank()); }
int Communicator::site_count() const { return impl_->topology().site_count(); }
int Communicator::SiteOf(Rank rank) const {
  return impl_->topology().SiteOf(rank);
}
const std::string& Communicator::SiteName(int site) const {
  return impl_->topology().NameOf(site);
}

Request Communicator::AllReduce(const void* input, void* output, size_t count,
                                DataType type, ReduceOp op) {
  return AllReduce(input, output, count, type, op, AllReduceOptions());
}

Request Communicator::AllReduce(const void* input, void* output, size_t count,
                                DataType type, ReduceOp op,
                                const AllReduceOptions& options) {
  const size_t size = SizeOf(type);
  if (size == 0 || static_cast<int>(op) >= kReduceOpCount) {
    return Request(Status(StatusCode::kInvalidArgument,
                          "all-reduce: no such element type or operator"));
  }
  if (count > SIZE_MAX / size) {
    return Request(Status(StatusCode::kInvalidArgument,
                          Text("all-reduce: %zu elements of %zu bytes are more "
                               "than memory can hold",
                               count, size)));
  }
  if (count > 0 && (input == nullptr || output == nullptr)) {
    return Request(Status(StatusCode::kInvalidArgument,
                          "all-reduce: input or output is a null pointer"));
  }
  const auto* in = static_cast<const uint8_t*>(input);
  auto* out = static_cast<uint8_t*>(output);
  if (in != out && in < out + count * size && out < in + count * size) {
    return Request(Status(StatusCode::kInvalidArgument,
                          "all-reduce: input and output overlap without being "
                          "the same"));
  }
  OperationCall call = {Collective::kAllReduce, type, op, in, out, count};
  call.tensor = options.tensor;
  Operation* operation = impl_->Post(call);
  if (operation == nullptr) return Request(TooManyRequests());
  return Request(operation);
}

Request Communicator::AllReduce(ConstBuffer input, Buffer output, DataType type,
                                ReduceOp op) {
  if (input.kind != MemoryKind::kHost || output.kind != MemoryKind::kHost) {
    return Request(Status(StatusCode::kUnsupported,
                          "all-reduce: only host memory is served"));
  }
  if (input.size != output.size || SizeOf(type) == 0 ||
      input.size % SizeOf(type) != 0) {
    return Request(
        Status(StatusCode::kInvalidArgument,
               Text("all-reduce: input of %zu and output of %zu bytes for "
                    "elements of %zu",
                    input.size, output.size, SizeOf(type))));
  }
  return AllReduce(input.data, output.data, input.size / SizeOf(type), type,
                   op);
}

Request Communicator::AllGather(const void* input, void* output, size_t block,
                                DataType type) {
  return AllGather(input, output, block, WholeVector(block, size()), type);
}

Request Communicator::AllGather(const void* input, void* output, size_t block,
                                Window window, DataType type) {
  const Result<OperationCall> call = MakeBlockCall(
      Collective::kAllGather,
      {input, output, block, window, type, ReduceOp::kSum}, rank(), size());
  if (!call.ok()) return Request(call.status());
  Operation* operation = impl_->Post(*call);
  if (operation == nullptr) return Request(TooManyRequests());
  return Request(operation);
}

Request Communicator::ReduceScatter(const void* input, void* output,
                                    size_t block, DataType type, ReduceOp op) {
  return ReduceScatter(input, output, block, WholeVector(block, size()), type,
                       op);
}

Request Communicator::ReduceScatter(const void* input, void* output,
                                    size_t block, Window window, DataType type,
                                    ReduceOp op) {
  const Result<OperationCall> call =
      MakeBlockCall(Collective::kReduceScatter,
                    {input, output, block, window, type, op}, rank(), size());
  if (!call.ok()) return Request(call.status());
  Operation* operation = impl_->Post(*call);
  if (operation == nullptr) return Request(TooManyRequests());
  return Request(operation);
}

Request Communicator::Barrier() {
  Operation* operation = impl_->Post({Collective::kBarrier, DataType::kInt8,
                                      ReduceOp::kSum, nullptr, nullptr, 0});
  if (operation == nullptr) return Request(TooManyRequests());
  return Request(operation);
}

Status Communicator::status() const { return impl_->status(); }

Result<Algorithm> Communicator::AlgorithmFor(size_t count,
                                             DataType type) const {
  return impl_->AlgorithmFor(count, type);
}

void Communicator::ResetFeedback() {
  impl_->WithFeedback([](Feedback& feedback) { feedback.Reset(); });
}

void Communicator::ResetFeedback(uint64_t tensor) {
  impl_->WithFeedback([&](Feedback& feedback) { feedback.Reset(tensor); });
}

std::vector<uint8_t> Communicator::SaveFeedback() const {
  std::vector<uint8_t> saved;
  impl_->WithFeedback([&](Feedback& feedback) { saved = feedback.Save(); });
  return saved;
}

Status Communicator::LoadFeedback(const std::vector<uint8_t>& saved) {
  Status status;
  impl_->WithFeedback(
      [&](Feedback& feedback) { status = feedback.Load(saved); });
  return status;
}

CodecSpec Communicator::CodecFor(size_t count, DataType type) const {
  return impl_->CodecFor(count, type);
}

std::vector<CodecCounters> Communicator::CodecUse() const {
  return impl_->CodecUse();
}

// What is slowest anywhere is how fast all go.
Status Communicator::AgreeOnCodecs() {
  std::vector<double> speeds = impl_->MeasureCodecs();
  if (speeds.empty()) return {};
  Request least = AllReduce(speeds.data(), speeds.data(), speeds.size(),
                            DataType::kFloat64, ReduceOp::kMin);
  Status agreed = least.Wait();
  if (agreed.ok()) impl_->SetCodecSpeeds(speeds);
  return agreed;
}

std::vector<PeerCounters> Communicator::Counters() const {
  return impl_->Counters();
}

}  // namespace longhaul
