// gloo_perf: Gloo's all-reduce under the harness that times longhaul, so that
// both start, are timed and are checked alike. float32 sums.
#include <gloo/allreduce.h>
#include <gloo/allreduce_halving_doubling.h>
#include <gloo/barrier.h>
#include <gloo/math.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/file_store.h>
#include <gloo/transport/tcp/device.h>
#include <longhaul/options.h>

#include <cstring>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "harness/program.h"

namespace longhaul::bench {
namespace {

constexpr const char* kDescription =
    R"(Times Gloo's all-reduce of float32 sums as longhaul_perf times longhaul's. Ranks
are started by --ranks, or from outside with LONGHAUL_RANK and
LONGHAUL_WORLD_SIZE. They meet in a folder (--store), new for every run.)";

using Context = std::shared_ptr<gloo::rendezvous::Context>;
using Options = gloo::AllreduceOptions;
using HalvingDoubling = gloo::AllreduceHalvingDoubling<float>;

struct GlooOptions {
  std::string store = "/tmp/gloo_perf";
  std::string address = "127.0.0.1";
  std::string algorithm = "ring";
};

// Gloo throws; nothing of it leaves this file.
template <typename Act>
Status Guarded(Act act) {
  try {
    act();
  } catch (const std::exception& error) {
    return {StatusCode::kUnreachable, error.what()};
  }
  return {};
}

// Gloo overloads these names; this picks the one AllreduceOptions takes.
using Reduction = void (*)(void*, const void*, const void*, size_t);

template <typename T>
void Reduce(const Context& context, T* data, size_t count, bool largest) {
  Options options(context);
  options.setOutput(data, count);
  options.setReduceFunction(largest ? Reduction(&gloo::max<T>)
                                    : Reduction(&gloo::sum<T>));
  gloo::allreduce(options);
}

class GlooSubject : public Subject {
 public:
  GlooSubject(Context context, std::string algorithm)
      : context_(std::move(context)), algorithm_(std::move(algorithm)) {}

  int rank() const override { return context_->rank; }
  int size() const override { return context_->size; }
  int site_count() const override { return 1; }
  std::string Describe() const override { return "gloo " + algorithm_; }
  std::string AlgorithmFor(size_t /*count*/, DataType /*type*/) const override {
    return algorithm_;
  }

  Status Start(const void* input, void* output, size_t count, DataType type,
               ReduceOp op) override {
    if (type != DataType::kFloat32 || op != ReduceOp::kSum) {
      return {StatusCode::kUnsupported, "gloo_perf sums float32 only"};
    }
    const auto* in = static_cast<const float*>(input);
    auto* out = static_cast<float*>(output);
    return Guarded([&] {
      if (algorithm_ == "halving_doubling") {
        Halve(in, out, count);
      } else {
        Run(in, out, count);
      }
    });
  }
  Status StartBarrier() override {
    return Guarded([&] {
      gloo::BarrierOptions options(context_);
      gloo::barrier(options);
    });
  }
  Status Finish() override { return {}; }  // Start blocks

  Status Combine(void* data, size_t count, DataType type,
                 ReduceOp op) override {
    const bool largest = op == ReduceOp::kMax;
    return Guarded([&] {
      if (type == DataType::kInt64) {
        Reduce(context_, static_cast<int64_t*>(data), count, largest);
      } else if (type == DataType::kUint64) {
        Reduce(context_, static_cast<uint64_t*>(data), count, largest);
      } else if (type == DataType::kFloat64) {
        Reduce(context_, static_cast<double*>(data), count, largest);
      } else {
        Reduce(context_, static_cast<uint8_t*>(data), count, largest);
      }
    });
  }

 private:
  void Run(const float* in, float* out, size_t count) {
    Options options(context_);
    if (in != out) options.setInput(const_cast<float*>(in), count);
    options.setOutput(out, count);
    options.setReduceFunction(Reduction(&gloo::sum<float>));
    options.setAlgorithm(algorithm_ == "bcube" ? Options::Algorithm::BCUBE
                                               : Options::Algorithm::RING);
    gloo::allreduce(options);
  }

  // Bound to its memory: made anew, with its buffers, when that changes.
  void Halve(const float* in, float* out, size_t count) {
    if (halving_ == nullptr || bound_ != out || bound_count_ != count) {
      halving_ = std::make_unique<HalvingDoubling>(
          context_, std::vector<float*>{out}, static_cast<int>(count));
      bound_ = out;
      bound_count_ = count;
    }
    if (in != out) std::memcpy(out, in, count * sizeof(float));
    halving_->run();
  }

  Context context_;
  std::string algorithm_;
  std::unique_ptr<HalvingDoubling> halving_;
  float* bound_ = nullptr;
  size_t bound_count_ = 0;
};

Result<std::unique_ptr<Subject>> Join(const GlooOptions& how) {
  const Result<longhaul::Options> options =
      longhaul::Options::FromEnvironment();
  if (!options.ok()) return options.status();
  if (!options->rank || !options->world_size) {
    return Status(StatusCode::kInvalidArgument,
                  "set LONGHAUL_RANK and LONGHAUL_WORLD_SIZE, or give --ranks");
  }
  Context context;
  const Status status = Guarded([&] {
    auto device = gloo::transport::tcp::CreateDevice(
        gloo::transport::tcp::attr(how.address.c_str()));
    // Jobs started by --ranks share a folder, but not a rendezvous port.
    std::string key = options->rendezvous;
    for (char& c : key) c = c == ':' || c == '/' ? '_' : c;
    const std::string folder = how.store + "/" + key;
    std::filesystem::create_directories(folder);
    gloo::rendezvous::FileStore store(folder);
    context = std::make_shared<gloo::rendezvous::Context>(*options->rank,
                                                          *options->world_size);
    context->connectFullMesh(store, device);
  });
  if (!status.ok()) return status;
  return std::unique_ptr<Subject>(
      std::make_unique<GlooSubject>(std::move(context), how.algorithm));
}

}  // namespace
}  // namespace longhaul::bench

int main(int argc, char** argv) {
  using namespace longhaul::bench;  // NOLINT(google-build-using-namespace)
  GlooOptions how;
  const Program program{.name = "gloo_perf",
                        .description = kDescription,
                        .epilogue = "",
                        .has_algorithms = false};
  return RunProgram(
      program, "gloo", argc, argv,
      [&how](const Settings&) { return Join(how); },
      {{"--store", "FOLDER", "where the ranks meet (/tmp/gloo_perf)",
        &how.store},
       {"--address", "ADDR", "this rank's address (127.0.0.1)", &how.address},
       {"--gloo-algo", "NAME", "ring, bcube or halving_doubling (ring)",
        &how.algorithm}});
}
