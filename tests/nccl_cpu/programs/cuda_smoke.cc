// The CUDA runtime by itself: memory, copies, streams, events, host functions.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>
#include <future>
#include <vector>

namespace {

void Expect(bool holds, const char* what, int line) {
  if (holds) return;
  fprintf(stderr, "cuda_smoke.cc:%d: not so: %s\n", line, what);
  exit(1);
}
#define EXPECT(condition) Expect((condition), #condition, __LINE__)
#define EXPECT_OK(call) Expect((call) == cudaSuccess, #call, __LINE__)

constexpr size_t kCount = 1 << 20;
constexpr size_t kBytes = kCount * sizeof(int);

int* Allocate() {
  void* memory = nullptr;
  EXPECT_OK(cudaMalloc(&memory, kBytes));
  return static_cast<int*>(memory);
}

void DescribesItself() {
  int count = 0, version = 0;
  cudaDeviceProp properties{};
  EXPECT_OK(cudaGetDeviceCount(&count));
  EXPECT_OK(cudaDriverGetVersion(&version));
  EXPECT_OK(cudaGetDeviceProperties(&properties, 0));
  printf("%d device(s), driver %d: %s, sm %d.%d\n", count, version,
         properties.name, properties.major, properties.minor);
  EXPECT(count == 1 && properties.major == 9);
}

void TellsMemoryApart() {
  int* memory = Allocate();
  cudaPointerAttributes attributes{};
  EXPECT_OK(cudaPointerGetAttributes(&attributes, memory + 5));
  EXPECT(attributes.type == cudaMemoryTypeDevice && attributes.device == 0);
  EXPECT_OK(cudaPointerGetAttributes(&attributes, &attributes));
  EXPECT(attributes.type == cudaMemoryTypeUnregistered);
  EXPECT_OK(cudaFree(memory));
  int local = 0;
  EXPECT(cudaFree(&local) != cudaSuccess);
  EXPECT(cudaGetLastError() != cudaSuccess);
  EXPECT(cudaGetLastError() == cudaSuccess);
}

// A host function holds the first stream back, and with it, through an event,
// the second.
void KeepsOrder() {
  std::vector<int> in(kCount), out(kCount, -1);
  for (size_t i = 0; i < kCount; ++i) in[i] = static_cast<int>(i * 3);
  int* first = Allocate();
  int* second = Allocate();
  EXPECT_OK(cudaMemset(second, 0xff, kBytes));
  cudaStream_t upstream{}, downstream{};
  cudaEvent_t copied{};
  EXPECT_OK(cudaStreamCreateWithFlags(&upstream, cudaStreamNonBlocking));
  EXPECT_OK(cudaStreamCreateWithFlags(&downstream, cudaStreamNonBlocking));
  EXPECT_OK(cudaEventCreate(&copied));
  std::promise<void> gate;
  EXPECT_OK(cudaLaunchHostFunc(
      upstream,
      [](void* arg) {
        static_cast<std::promise<void>*>(arg)->get_future().wait();
      },
      &gate));
  EXPECT_OK(cudaMemcpyAsync(first, in.data(), kBytes, cudaMemcpyHostToDevice,
                            upstream));
  EXPECT_OK(cudaEventRecord(copied, upstream));
  EXPECT_OK(cudaStreamWaitEvent(downstream, copied, 0));
  EXPECT_OK(cudaMemcpyAsync(second, first, kBytes, cudaMemcpyDeviceToDevice,
                            downstream));
  EXPECT(cudaEventQuery(copied) == cudaErrorNotReady);
  EXPECT(cudaStreamQuery(downstream) == cudaErrorNotReady);
  gate.set_value();
  EXPECT_OK(cudaStreamSynchronize(downstream));
  EXPECT(cudaEventQuery(copied) == cudaSuccess);
  EXPECT_OK(cudaMemcpy(out.data(), second, kBytes, cudaMemcpyDeviceToHost));
  EXPECT(in == out);
  EXPECT_OK(cudaFree(first));
  EXPECT_OK(cudaFree(second));
  EXPECT_OK(cudaStreamDestroy(upstream));
  EXPECT_OK(cudaStreamDestroy(downstream));
  EXPECT_OK(cudaEventDestroy(copied));
  EXPECT_OK(cudaDeviceSynchronize());
}

}  // namespace

int main() {
  DescribesItself();
  TellsMemoryApart();
  KeepsOrder();
  printf("cuda_smoke: ok\n");
}
