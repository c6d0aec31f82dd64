#include "border/tuner_context.h"

#include <longhaul/options.h>

#include <cstdlib>
#include <new>
#include <string>

#include "agreement.h"
#include "topology/topology_file.h"
#include "tuner.h"

namespace longhaul::nccl {
namespace {

using abi::LogFn;
using abi::LogLevel;
using abi::ResultCode;

// NCCL_BUFFSIZE, which NCCL too wants equal on all ranks.
uint64_t BufferBytes() {
  const char* const text = std::getenv("NCCL_BUFFSIZE");
  const uint64_t bytes = text ? std::strtoull(text, nullptr, 0) : 0;
  return bytes > 0 ? bytes : kDefaultBufferBytes;
}

// The same on every rank if the file is. A file that cannot be read counts as
// none.
TunerFacts FactsOfEnvironment(LogFn log) {
  const Result<Options> options = Options::FromEnvironment();
  if (!options.ok() || options->topology.empty()) return {};
  const Result<TopologyFile> file = TopologyFile::Read(options->topology);
  if (file.ok()) {
    TunerFacts facts = TunerFacts::Of(*file);
    facts.buffer_bytes = BufferBytes();
    return facts;
  }
  if (log) {
    log(LogLevel::kWarn, abi::kLogTuning, __FILE__, __LINE__,
        "TUNER/Longhaul : no tuning across sites: %s",
        file.status().ToString().c_str());
  }
  return {};
}

}  // namespace

ResultCode MakeTuner(uint64_t comm_id, size_t ranks, size_t nodes, LogFn log,
                     void** context) noexcept {
  if (!context) return ResultCode::kSuccess;
  *context = nullptr;
  auto* const tuner = new (std::nothrow)
      Tuner(FactsOfEnvironment(log), Agreements::OfProcess().Find(comm_id),
            ranks, nodes);
  *context = tuner;
  if (log && tuner && tuner->spans_sites()) {
    log(LogLevel::kInfo, abi::kLogInit | abi::kLogTuning, __FILE__, __LINE__,
        "TUNER/Longhaul : %zu nodes in several sites: CollNet, else Tree; "
        "Simple only",
        nodes);
  }
  return ResultCode::kSuccess;
}

ResultCode FreeTuner(void* context) noexcept {
  delete static_cast<Tuner*>(context);
  return ResultCode::kSuccess;
}

ResultCode PriceWith(void* context, abi::FuncCode function, float** costs,
                     int algorithms, int protocols, int* channels) noexcept {
  // NCCL hands in float[algorithms][protocols] under this type.
  const auto* const tuner = static_cast<const Tuner*>(context);
  if (tuner) {
    tuner->Price(function, reinterpret_cast<float*>(costs), algorithms,
                 protocols, channels);
  }
  return ResultCode::kSuccess;
}

}  // namespace longhaul::nccl
