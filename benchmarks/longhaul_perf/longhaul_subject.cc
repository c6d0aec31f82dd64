#include "longhaul_perf/longhaul_subject.h"

#include <longhaul/communicator.h>
#include <longhaul/options.h>
#include <longhaul/request.h>

#include <cstdio>
#include <optional>
#include <utility>

#include "base/text.h"

namespace longhaul::bench {
namespace {

const char* TextOf(Algorithm algorithm) {
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

class LonghaulSubject : public Subject {
 public:
  LonghaulSubject(std::unique_ptr<Context> context,
                  std::unique_ptr<Communicator> communicator)
      : context_(std::move(context)), communicator_(std::move(communicator)) {}

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
    }
    if (peers > 0) all.flows = (all.flows + peers - 1) / peers;
    return all;
  }

 private:
  std::unique_ptr<Context> context_;
  std::unique_ptr<Communicator> communicator_;
  Request request_;
};

}  // namespace

Result<std::unique_ptr<Subject>> JoinLonghaul(const Settings& settings) {
  Result<Options> options = Options::FromEnvironment();
  if (!options.ok()) return options.status();
  Result<std::unique_ptr<Context>> context =
      Context::Create(std::move(options).value());
  if (!context.ok()) return context.status();
  CommunicatorConfig config;
  config.algorithm = settings.algorithm;
  Result<std::unique_ptr<Communicator>> communicator =
      Communicator::Create(**context, config);
  if (!communicator.ok()) return communicator.status();
  return std::unique_ptr<Subject>(std::make_unique<LonghaulSubject>(
      std::move(context).value(), std::move(communicator).value()));
}

}  // namespace longhaul::bench
