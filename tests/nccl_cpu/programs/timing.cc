#include "programs/timing.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "programs/buffer.h"

namespace nccl_cpu {
namespace {

enum class Collective {
  kAllReduce,
  kAllGather,
  kReduceScatter,
  kBroadcast,
  kSendRecv
};
struct CollectiveName {
  const char* name;
  Collective collective;
};
constexpr CollectiveName kCollectives[] = {
    {"allreduce", Collective::kAllReduce},
    {"allgather", Collective::kAllGather},
    {"reducescatter", Collective::kReduceScatter},
    {"broadcast", Collective::kBroadcast},
    {"sendrecv", Collective::kSendRecv},
};

const CollectiveName* FindCollective(const std::string& name) {
  const auto* found =
      std::find_if(std::begin(kCollectives), std::end(kCollectives),
                   [&](const CollectiveName& c) { return c.name == name; });
  return found == std::end(kCollectives) ? nullptr : found;
}

// Calls with(T{}) for the type of that name. False if there is none.
template <typename With>
bool WithType(const std::string& name, With with) {
  if (name == "f16") return with(__half{}), true;
  if (name == "bf16") return with(__nv_bfloat16{}), true;
  if (name == "f32") return with(float{}), true;
  if (name == "f64") return with(double{}), true;
  if (name == "i8") return with(int8_t{}), true;
  if (name == "u8") return with(uint8_t{}), true;
  if (name == "i32") return with(int32_t{}), true;
  if (name == "u32") return with(uint32_t{}), true;
  if (name == "i64") return with(int64_t{}), true;
  if (name == "u64") return with(uint64_t{}), true;
  return false;
}

size_t ElementSize(const std::string& type) {
  size_t size = 0;
  WithType(type, [&size](auto zero) { size = sizeof zero; });
  return size;
}

// The largest integer up to which sums are exact.
template <typename T>
constexpr int64_t ExactUpTo() {
  if constexpr (std::is_same_v<T, __nv_bfloat16>) return 1 << 8;
  if constexpr (std::is_same_v<T, __half>) return 1 << 11;
  if constexpr (sizeof(T) == 1) return std::is_signed_v<T> ? 127 : 255;
  return 1 << 24;
}

bool Reduces(Collective collective) {
  return collective == Collective::kAllReduce ||
         collective == Collective::kReduceScatter;
}

class RankTimer {
 public:
  explicit RankTimer(const World& world) : world_(world), shared_(world, 1) {}

  // Behind this, all ranks are.
  void Barrier() { Max(0); }
  // The greatest of all ranks' values.
  double Max(double mine) {
    const World& world = world_;
    shared_.Fill([mine](size_t) { return mine; });
    MUST(ncclAllReduce(shared_.data(), shared_.data(), 1, ncclFloat64, ncclMax,
                       world.comm, world.stream));
    double most = 0;
    MUST(cudaMemcpyAsync(&most, shared_.data(), sizeof most,
                         cudaMemcpyDeviceToHost, world.stream));
    MUST(cudaStreamSynchronize(world.stream));
    return most;
  }

 private:
  const World& world_;
  Buffer<double> shared_;
};

template <typename T>
class Timed {
 public:
  Timed(const World& world, Collective collective, uint64_t bytes)
      : world_(world),
        collective_(collective),
        part_(bytes / sizeof(T) / static_cast<size_t>(world.n_ranks)),
        whole_(part_ * static_cast<size_t>(world.n_ranks)),
        in_(world, collective == Collective::kAllGather ? part_ : whole_),
        out_(world, collective == Collective::kReduceScatter ? part_ : whole_),
        timer_(world) {}

  uint64_t bytes() const { return whole_ * sizeof(T); }

  // Seconds of the slowest rank.
  double Iterate() {
    const World& world = world_;
    in_.FillWithValues();
    out_.Poison();
    timer_.Barrier();
    const auto start = std::chrono::steady_clock::now();
    Launch();
    MUST(cudaStreamSynchronize(world.stream));
    const std::chrono::duration<double> took =
        std::chrono::steady_clock::now() - start;
    out_.Expect("timed collective", [this](size_t i) { return Expected(i); });
    return timer_.Max(took.count());
  }

 private:
  void Launch() {
    const World& world = world_;
    constexpr ncclDataType_t kType = TypeOf<T>();
    switch (collective_) {
      case Collective::kAllReduce:
        MUST(ncclAllReduce(in_.data(), out_.data(), whole_, kType, ncclSum,
                           world.comm, world.stream));
        return;
      case Collective::kAllGather:
        MUST(ncclAllGather(in_.data(), out_.data(), part_, kType, world.comm,
                           world.stream));
        return;
      case Collective::kReduceScatter:
        MUST(ncclReduceScatter(in_.data(), out_.data(), part_, kType, ncclSum,
                               world.comm, world.stream));
        return;
      case Collective::kBroadcast:
        MUST(ncclBroadcast(in_.data(), out_.data(), whole_, kType, 0,
                           world.comm, world.stream));
        return;
      case Collective::kSendRecv:
        MUST(ncclGroupStart());
        MUST(ncclSend(in_.data(), whole_, kType, world.Next(), world.comm,
                      world.stream));
        MUST(ncclRecv(out_.data(), whole_, kType, world.Previous(), world.comm,
                      world.stream));
        MUST(ncclGroupEnd());
        return;
    }
  }

  T Expected(size_t index) const {
    switch (collective_) {
      case Collective::kAllReduce:
        return FromInteger<T>(SumOf(world_, index));
      case Collective::kAllGather:
        return Value<T>(static_cast<int>(index / part_), index % part_);
      case Collective::kReduceScatter:
        return FromInteger<T>(
            SumOf(world_, index + static_cast<size_t>(world_.rank) * part_));
      case Collective::kBroadcast:
        return Value<T>(0, index);
      case Collective::kSendRecv:
        return Value<T>(world_.Previous(), index);
    }
    return {};
  }

  const World& world_;
  const Collective collective_;
  const size_t part_, whole_;  // elements: of one rank, of all
  Buffer<T> in_, out_;
  RankTimer timer_;
};

double MedianOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half]
                                : (values[half - 1] + values[half]) / 2;
}

}  // namespace

std::string FaultOf(const TimingSettings& settings, int n_ranks) {
  const CollectiveName* found = FindCollective(settings.op);
  if (found == nullptr) return "--op: no " + settings.op;
  const size_t element = ElementSize(settings.type);
  if (element == 0) return "--type: no " + settings.type;
  if (settings.bytes < element * static_cast<size_t>(n_ranks)) {
    return "--bytes: less than an element per rank";
  }
  if (settings.iterations < 1) return "--iters: at least 1";
  int64_t exact = 0;
  WithType(settings.type,
           [&exact](auto zero) { exact = ExactUpTo<decltype(zero)>(); });
  if (Reduces(found->collective) && n_ranks * kLargestValue > exact) {
    return "--type: the sums of so many ranks are not exact in " +
           settings.type;
  }
  return "";
}

void Time(const World& world, const TimingSettings& settings) {
  const Collective collective = FindCollective(settings.op)->collective;
  std::vector<double> seconds;
  uint64_t bytes = 0;
  WithType(settings.type, [&](auto zero) {
    Timed<decltype(zero)> timed(world, collective, settings.bytes);
    bytes = timed.bytes();
    for (int i = 0; i < settings.warmup; ++i) timed.Iterate();
    for (int i = 0; i < settings.iterations; ++i) {
      seconds.push_back(timed.Iterate());
    }
  });
  if (world.rank != 0) return;
  const auto [least, most] =
      std::minmax_element(seconds.begin(), seconds.end());
  const nlohmann::ordered_json line = {
      {"op", settings.op},      {"type", settings.type},       {"bytes", bytes},
      {"ranks", world.n_ranks}, {"median", MedianOf(seconds)}, {"min", *least},
      {"max", *most},           {"seconds", seconds}};
  printf("%s\n", line.dump().c_str());
}

}  // namespace nccl_cpu
