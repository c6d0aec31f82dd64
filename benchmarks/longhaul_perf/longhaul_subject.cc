#include "longhaul_perf/longhaul_subject.h"

#include <longhaul/communicator.h>
#include <longhaul/options.h>
#include <longhaul/request.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/option_table.h"

namespace longhaul::bench {
namespace {

const char* TextOf(PathState state) {
  switch (state) {
    case PathState::kUp:
      return "up";
    case PathState::kSilent:
      return "silent";
    case PathState::kDown:
      return "down";
  }
  return "?";
}

// What LONGHAUL_ALGO calls it.
std::string TextOf(Algorithm algorithm) {
  Options options;
  options.algo = algorithm;
  return OptionText(FindOption("algo"), options);
}

PathFacts FactsOf(Rank rank, const PeerCounters& peer,
                  const PathCounters& path) {
  PathFacts facts;
  facts.rank = rank;
  facts.peer = peer.rank;
  const std::string name = path.name.empty() ? "-" : path.name;
  name.copy(facts.name, sizeof facts.name - 1);
  std::string_view(TextOf(path.state))
      .copy(facts.state, sizeof facts.state - 1);
  facts.flows = path.flows;
  facts.bytes_sent = path.bytes_sent;
  facts.bytes_received = path.bytes_received;
  facts.payload_sent = path.payload_sent;
  facts.payload_restriped = path.payload_restriped;
  facts.retransmits = path.retransmits;
  facts.failures = path.failures;
  facts.credit_waits = peer.credit_waits;
  facts.goodput = path.goodput;
  facts.rate_limit = path.rate_limit;
  facts.rtt = path.rtt.count();
  facts.min_rtt = path.min_rtt.count();
  return facts;
}

// What a code may be off by, as a share of the largest element.
double StepOf(const CodecSpec& codec) {
  // A turned block has larger elements, and turned back what is off adds up.
  const double turned = codec.rotate ? 3 : 1;
  switch (codec.id) {
    case CodecId::kBf16:
      return 1.0 / 256;
    case CodecId::kF16:
      return 1.0 / 2048;
    case CodecId::kInt8:
      return turned / 127;
    case CodecId::kInt4:
      return turned / 7;
    case CodecId::kFp8E4m3:
      return 1.0 / 8;
    case CodecId::kFp8E5m2:
      return 1.0 / 4;
    case CodecId::kAuto:
      return 3 * codec.MaxError();
    case CodecId::kNone:
    case CodecId::kLossless:
      break;
  }
  return 0;
}

class LonghaulSubject : public Subject {
 public:
  LonghaulSubject(std::unique_ptr<Context> context,
                  std::unique_ptr<Communicator> communicator, CodecSpec codec)
      : context_(std::move(context)),
        communicator_(std::move(communicator)),
        codec_(codec) {}

  int rank() const override { return communicator_->rank(); }
  int size() const override { return communicator_->size(); }
  int site_count() const override { return communicator_->site_count(); }
  std::string Describe() const override {
    return "site " + communicator_->SiteName(communicator_->site());
  }

  Status Start(const void* input, void* output, size_t count, DataType type,
               ReduceOp op) override {
    request_ = communicator_->AllReduce(input, output, count, type, op);
    return {};
  }
  Status StartBarrier() override {
    request_ = communicator_->Barrier();
    return {};
  }
  Status Finish() override { return request_.Wait(); }

  std::string AlgorithmFor(size_t count, DataType type) const override {
    const Result<Algorithm> algorithm =
        communicator_->AlgorithmFor(count, type);
    return algorithm.ok() ? TextOf(*algorithm) : "";
  }

  // The sites' sums are encoded, their steps add up to one of the total; and
  // that may be encoded once more. A tenth for how steps are rounded.
  double Tolerance(DataType type, ReduceOp op) const override {
    const bool sums = op == ReduceOp::kSum || op == ReduceOp::kAvg;
    const bool short_float =
        type == DataType::kFloat16 || type == DataType::kBfloat16;
    const bool cast = codec_.id == CodecId::kBf16 || codec_.id == CodecId::kF16;
    const bool taken = type == DataType::kFloat32 || (short_float && !cast);
    if (!sums || !taken || site_count() < 2 || StepOf(codec_) == 0) return 0;
    return 2.1 * StepOf(codec_) + (short_float ? 1.0 / 128 : 0);
  }

  std::optional<WanTraffic> Traffic() const override {
    WanTraffic all;
    size_t peers = 0;
    for (const PeerCounters& peer : communicator_->Counters()) {
      if (peer.same_site) continue;
      ++peers;
      all.sent += peer.bytes_sent;
      all.resent += peer.payload_resent;
      all.retransmits += peer.retransmits;
      all.flows += peer.flows;
      all.credit_waits += peer.credit_waits;
      for (size_t i = 0; i < peer.paths.size(); ++i) {
        all.path_sent[std::min(i, WanTraffic::kPaths - 1)] +=
            peer.paths[i].bytes_sent;
      }
    }
    if (peers > 0) all.flows = (all.flows + peers - 1) / peers;
    return all;
  }

  std::vector<CodecFacts> Codecs() const override {
    const auto seconds = [](std::chrono::nanoseconds time) {
      return std::chrono::duration<double>(time).count();
    };
    std::vector<CodecFacts> all;
    for (const CodecCounters& use : communicator_->CodecUse()) {
      all.push_back({use.codec.ToString(), use.operations, use.plain_bytes,
                     use.coded_bytes, seconds(use.encode_time),
                     seconds(use.decode_time)});
    }
    return all;
  }

  std::vector<PathFacts> Paths() const override {
    std::vector<PathFacts> all;
    for (const PeerCounters& peer : communicator_->Counters()) {
      for (const PathCounters& path : peer.paths) {
        all.push_back(FactsOf(communicator_->rank(), peer, path));
      }
    }
    return all;
  }

 private:
  std::unique_ptr<Context> context_;
  std::unique_ptr<Communicator> communicator_;
  const CodecSpec codec_;
  Request request_;
};

}  // namespace

Result<std::unique_ptr<Subject>> JoinLonghaul(const Settings& settings) {
  Result<Options> options = Options::FromEnvironment();
  if (!options.ok()) return options.status();
  const CodecSpec codec = settings.compress.value_or(options->compress);
  Result<std::unique_ptr<Context>> context =
      Context::Create(std::move(options).value());
  if (!context.ok()) return context.status();
  CommunicatorConfig config;
  config.algorithm = settings.algorithm;
  config.compress = codec;
  Result<std::unique_ptr<Communicator>> communicator =
      Communicator::Create(**context, config);
  if (!communicator.ok()) return communicator.status();
  return std::unique_ptr<Subject>(std::make_unique<LonghaulSubject>(
      std::move(context).value(), std::move(communicator).value(), codec));
}

}  // namespace longhaul::bench
