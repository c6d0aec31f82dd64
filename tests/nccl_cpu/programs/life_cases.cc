// Communicators in use: many operations at a time, two communicators, buffers
// registered by the user, and ends before the end.
#include <chrono>
#include <cmath>
#include <thread>

#include "programs/buffer.h"
#include "programs/cases.h"

namespace nccl_cpu {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// Memory that the user has registered with NCCL.
class RegisteredBuffer {
 public:
  RegisteredBuffer(const World& world, size_t count) : world_(world) {
    void* data = nullptr;
    MUST(ncclMemAlloc(&data, count * sizeof(float)));
    MUST(ncclCommRegister(world.comm, data, count * sizeof(float), &handle_));
    data_ = static_cast<float*>(data);
  }
  RegisteredBuffer(const RegisteredBuffer&) = delete;
  RegisteredBuffer& operator=(const RegisteredBuffer&) = delete;
  ~RegisteredBuffer() {
    const World& world = world_;
    MUST(ncclCommDeregister(world.comm, handle_));
    MUST(ncclMemFree(data_));
  }

  float* data() const { return data_; }

 private:
  const World& world_;
  float* data_ = nullptr;
  void* handle_ = nullptr;
};

// Waits for the stream; dies unless the `count` floats at `data` are of(i).
template <typename Of>
void ExpectAt(const World& world, const char* what, const float* data,
              size_t count, Of of) {
  MUST(cudaStreamSynchronize(world.stream));
  std::vector<float> host(count);
  MUST(cudaMemcpy(host.data(), data, count * sizeof(float),
                  cudaMemcpyDeviceToHost));
  for (size_t i = 0; i < count; ++i) {
    if (host[i] != of(i)) {
      Die(world, what, "element " + std::to_string(i) + " is wrong");
    }
  }
}

// Rank 0 tells all others that it has come this far.
void TellAll(const World& world, float* news) {
  MUST(ncclGroupStart());
  for (int other = 1; other < world.n_ranks && world.rank == 0; ++other) {
    MUST(ncclSend(news, 1, ncclFloat32, other, world.comm, world.stream));
  }
  if (world.rank != 0) {
    MUST(ncclRecv(news, 1, ncclFloat32, 0, world.comm, world.stream));
  }
  MUST(ncclGroupEnd());
  MUST(cudaStreamSynchronize(world.stream));
}

void EndByAbort(const World& world) {
  MUST(ncclCommAbort(world.comm));
  MUST(cudaStreamSynchronize(world.stream));
}

}  // namespace

// Several collectives in one group, then many in flight on one stream.
void MixedCase(const World& world, size_t max_count) {
  const size_t count = std::min<size_t>(max_count, 30'000);
  const auto ranks = static_cast<size_t>(world.n_ranks);
  Buffer<float> in(world, count), sum(world, count), all(world, count * ranks);
  Buffer<float> max(world, count);
  in.FillWithValues();
  max.FillWithValues();
  MUST(ncclGroupStart());
  MUST(ncclAllReduce(in.data(), sum.data(), count, ncclFloat32, ncclSum,
                     world.comm, world.stream));
  MUST(ncclAllGather(in.data(), all.data(), count, ncclFloat32, world.comm,
                     world.stream));
  MUST(ncclAllReduce(max.data(), max.data(), count, ncclFloat32, ncclMax,
                     world.comm, world.stream));
  MUST(ncclGroupEnd());
  sum.Expect("grouped allreduce",
             [&](size_t i) { return static_cast<float>(SumOf(world, i)); });
  all.Expect("grouped allgather", [count](size_t i) {
    return Value<float>(static_cast<int>(i / count), i % count);
  });
  max.Expect("grouped maximum", [&](size_t i) {
    int64_t most = 0;
    for (int r = 0; r < world.n_ranks; ++r)
      most = std::max(most, ValueOf(r, i));
    return static_cast<float>(most);
  });
  constexpr int kChain = 10;
  in.Fill([](size_t) { return 1.0F; });
  for (int k = 0; k < kChain; ++k) {
    MUST(ncclAllReduce(in.data(), in.data(), count, ncclFloat32, ncclSum,
                       world.comm, world.stream));
  }
  in.Expect("chained allreduce", [&](size_t) {
    return static_cast<float>(std::pow(world.n_ranks, kChain));
  });
}

// A second communicator, split from the first, with traffic on two streams at
// once.
void MultiCase(const World& world, size_t max_count) {
  World other = world;
  MUST(ncclCommSplit(world.comm, 0, world.n_ranks - 1 - world.rank, &other.comm,
                     nullptr));
  MUST(cudaStreamCreateWithFlags(&other.stream, cudaStreamNonBlocking));
  const size_t count = std::min<size_t>(max_count, 100'000);
  {
    Buffer<float> a(world, count), b(world, count);
    Buffer<float> x(other, count), y(other, count);
    a.FillWithValues();
    x.FillWithValues();
    for (int k = 0; k < 3; ++k) {
      MUST(ncclAllReduce(a.data(), b.data(), count, ncclFloat32, ncclSum,
                         world.comm, world.stream));
      MUST(ncclAllReduce(x.data(), y.data(), count, ncclFloat32, ncclSum,
                         other.comm, other.stream));
    }
    const auto sum = [&](size_t i) {
      return static_cast<float>(SumOf(world, i));
    };
    b.Expect("first communicator", sum);
    y.Expect("second communicator", sum);
  }
  MUST(cudaStreamDestroy(other.stream));
  MUST(ncclCommDestroy(other.comm));
}

// With a plugin that takes device pointers, NCCL sends straight from buffers
// that the user has registered.
void RegisterCase(const World& world, size_t max_count) {
  const size_t count = std::min<size_t>(max_count, 1 << 20);
  const auto ranks = static_cast<size_t>(world.n_ranks);
  const RegisteredBuffer buffer(world, (ranks + 1) * count);
  float* in = buffer.data();
  float* out = in + count;
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = Value<float>(world.rank, i);
  MUST(cudaMemcpy(in, values.data(), count * sizeof(float),
                  cudaMemcpyHostToDevice));
  for (int k = 0; k < 2; ++k) {
    MUST(cudaMemset(out, 0, count * ranks * sizeof(float)));
    MUST(ncclAllGather(in, out, count, ncclFloat32, world.comm, world.stream));
    ExpectAt(world, "registered allgather", out, count * ranks, [&](size_t i) {
      return Value<float>(static_cast<int>(i / count), i % count);
    });
  }
  MUST(ncclAllReduce(in, out, count, ncclFloat32, ncclSum, world.comm,
                     world.stream));
  ExpectAt(world, "registered allreduce", out, count,
           [&](size_t i) { return static_cast<float>(SumOf(world, i)); });
  const int root = world.n_ranks - 1;
  MUST(ncclBroadcast(in, out, count, ncclFloat32, root, world.comm,
                     world.stream));
  ExpectAt(world, "registered broadcast", out, count,
           [root](size_t i) { return Value<float>(root, i); });
  MUST(ncclGroupStart());
  MUST(
      ncclSend(in, count, ncclFloat32, world.Next(), world.comm, world.stream));
  MUST(ncclRecv(out, count, ncclFloat32, world.Previous(), world.comm,
                world.stream));
  MUST(ncclGroupEnd());
  ExpectAt(world, "registered sendrecv", out, count,
           [&](size_t i) { return Value<float>(world.Previous(), i); });
}

// An all-reduce that only rank 0 joins, then ncclCommAbort.
void AbortCase(const World& world, size_t) {
  constexpr size_t kCount = 1000;
  World aside = world;  // to tell the others that it is under way
  MUST(ncclCommSplit(world.comm, 0, world.rank, &aside.comm, nullptr));
  MUST(cudaStreamCreateWithFlags(&aside.stream, cudaStreamNonBlocking));
  Buffer<float> buffer(world, kCount), news(world, 1);
  buffer.FillWithValues();
  const auto all_reduce = [&] {
    MUST(ncclAllReduce(buffer.data(), buffer.data(), kCount, ncclFloat32,
                       ncclSum, world.comm, world.stream));
  };
  all_reduce();
  TellAll(aside, news.data());
  MUST(cudaStreamSynchronize(world.stream));
  if (world.n_ranks > 1 && world.rank == 0) all_reduce();
  TellAll(aside, news.data());
  if (world.n_ranks > 1 && world.rank == 0 &&
      cudaStreamQuery(world.stream) != cudaErrorNotReady) {
    Die(world, "abort", "the all-reduce has finished by itself");
  }
  EndByAbort(world);
  MUST(ncclCommDestroy(aside.comm));
  MUST(cudaStreamDestroy(aside.stream));
}

// The network fails under way (TESTNET_FAIL=n): NCCL must report it, and an
// abort must end the communicator.
void FaultCase(const World& world, size_t) {
  constexpr size_t kCount = 100'000;
  Buffer<float> buffer(world, kCount);
  buffer.FillWithValues();
  const auto deadline = steady_clock::now() + seconds(30);
  while (steady_clock::now() < deadline) {
    MUST(ncclAllReduce(buffer.data(), buffer.data(), kCount, ncclFloat32,
                       ncclMax, world.comm, world.stream));
    while (cudaStreamQuery(world.stream) == cudaErrorNotReady) {
      ncclResult_t state = ncclSuccess;
      MUST(ncclCommGetAsyncError(world.comm, &state));
      if (state != ncclSuccess && state != ncclInProgress) {
        if (!world.quiet) {
          printf("  rank %d: asynchronous error: %s\n", world.rank,
                 ncclGetErrorString(state));
        }
        return EndByAbort(world);
      }
      std::this_thread::sleep_for(milliseconds(1));
    }
  }
  Die(world, "fault", "no error was reported");
}

}  // namespace nccl_cpu
