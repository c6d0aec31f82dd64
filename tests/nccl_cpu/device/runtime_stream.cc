// The CUDA runtime API: streams, events, host functions, and graphs as far as
// to say that nothing is ever being captured.
#include <cuda_runtime_api.h>

#include <atomic>
#include <memory>
#include <thread>
#include <utility>

#include "device/handles.h"

namespace nccl_cpu {

StreamPtr StreamOf(cudaStream_t stream) {
  if (stream == nullptr || stream == cudaStreamLegacy) {
    return Engine::Get().DefaultStream();
  }
  if (stream == cudaStreamPerThread) {
    static thread_local StreamPtr mine = Engine::Get().CreateStream(true);
    return mine;
  }
  return stream->stream;
}

namespace {

thread_local cudaStreamCaptureMode capture_mode = cudaStreamCaptureModeGlobal;

// A host function may block, on work of other streams even, so each gets a
// thread of its own.
class HostFunctionOp final : public Op {
 public:
  HostFunctionOp(cudaHostFn_t function, void* arg)
      : function_(function), arg_(arg) {}

  Progress Poll() override {
    if (!running_) {
      running_ = true;
      std::thread([function = function_, arg = arg_, done = done_] {
        function(arg);
        done->store(true);
      }).detach();
      return Progress::kSome;
    }
    return done_->load() ? Progress::kDone : Progress::kNone;
  }

 private:
  cudaHostFn_t function_;
  void* arg_;
  bool running_ = false;
  std::shared_ptr<std::atomic<bool>> done_ =
      std::make_shared<std::atomic<bool>>(false);
};

}  // namespace
}  // namespace nccl_cpu

using namespace nccl_cpu;  // NOLINT(google-build-using-namespace): C functions

NCCL_CPU_API cudaError_t cudaStreamCreateWithFlags(cudaStream_t* out,
                                                   unsigned flags) {
  const bool blocking = (flags & cudaStreamNonBlocking) == 0;
  *out = new CUstream_st{Engine::Get().CreateStream(blocking)};
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaStreamCreate(cudaStream_t* out) {
  return cudaStreamCreateWithFlags(out, cudaStreamDefault);
}
NCCL_CPU_API cudaError_t cudaStreamCreateWithPriority(cudaStream_t* out,
                                                      unsigned flags, int) {
  return cudaStreamCreateWithFlags(out, flags);
}
NCCL_CPU_API cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  Engine::Get().DestroyStream(stream->stream);
  delete stream;
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  Engine::Get().Synchronize(StreamOf(stream));
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaStreamQuery(cudaStream_t stream) {
  return Engine::Get().Idle(StreamOf(stream)) ? cudaSuccess : cudaErrorNotReady;
}
NCCL_CPU_API cudaError_t cudaStreamWaitEvent(cudaStream_t stream,
                                             cudaEvent_t event, unsigned) {
  Engine::Get().WaitEvent(StreamOf(stream), event->event);
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaLaunchHostFunc(cudaStream_t stream,
                                            cudaHostFn_t function, void* arg) {
  Engine::Get().Submit(StreamOf(stream),
                       std::make_unique<HostFunctionOp>(function, arg));
  return cudaSuccess;
}

NCCL_CPU_API cudaError_t cudaEventCreateWithFlags(cudaEvent_t* out, unsigned) {
  *out = new CUevent_st{std::make_shared<EventState>()};
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaEventCreate(cudaEvent_t* out) {
  return cudaEventCreateWithFlags(out, 0);
}
NCCL_CPU_API cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaEventRecord(cudaEvent_t event,
                                         cudaStream_t stream) {
  Engine::Get().Record(event->event, StreamOf(stream));
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaEventRecordWithFlags(cudaEvent_t event,
                                                  cudaStream_t stream,
                                                  unsigned) {
  return cudaEventRecord(event, stream);
}
NCCL_CPU_API cudaError_t cudaEventQuery(cudaEvent_t event) {
  return event->event->done() ? cudaSuccess : cudaErrorNotReady;
}
NCCL_CPU_API cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  Engine::Get().Synchronize(event->event);
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaEventElapsedTime(float* milliseconds,
                                              cudaEvent_t from,
                                              cudaEvent_t to) {
  if (!from->event->done() || !to->event->done()) return cudaErrorNotReady;
  const int64_t ns = to->event->timestamp_ns - from->event->timestamp_ns;
  *milliseconds = static_cast<float>(ns) / 1e6F;
  return cudaSuccess;
}

NCCL_CPU_API cudaError_t
cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  std::swap(*mode, capture_mode);
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaStreamIsCapturing(cudaStream_t,
                                               cudaStreamCaptureStatus* out) {
  *out = cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaStreamGetCaptureInfo(
    cudaStream_t, cudaStreamCaptureStatus* status, unsigned long long* id,
    cudaGraph_t* graph, const cudaGraphNode_t** dependencies,
    const cudaGraphEdgeData** edges, size_t* count) {
  *status = cudaStreamCaptureStatusNone;
  if (id != nullptr) *id = 0;
  if (graph != nullptr) *graph = nullptr;
  if (dependencies != nullptr) *dependencies = nullptr;
  if (edges != nullptr) *edges = nullptr;
  if (count != nullptr) *count = 0;
  return cudaSuccess;
}
NCCL_CPU_API cudaError_t cudaStreamUpdateCaptureDependencies(
    cudaStream_t, cudaGraphNode_t*, const cudaGraphEdgeData*, size_t,
    unsigned) {
  return NotImplemented("cudaStreamUpdateCaptureDependencies");
}
NCCL_CPU_API cudaError_t cudaGraphAddDependencies(cudaGraph_t,
                                                  const cudaGraphNode_t*,
                                                  const cudaGraphNode_t*,
                                                  const cudaGraphEdgeData*,
                                                  size_t) {
  return NotImplemented("cudaGraphAddDependencies");
}
NCCL_CPU_API cudaError_t cudaGraphAddEventRecordNode(cudaGraphNode_t*,
                                                     cudaGraph_t,
                                                     const cudaGraphNode_t*,
                                                     size_t, cudaEvent_t) {
  return NotImplemented("cudaGraphAddEventRecordNode");
}
NCCL_CPU_API cudaError_t cudaGraphRetainUserObject(cudaGraph_t,
                                                   cudaUserObject_t, unsigned,
                                                   unsigned) {
  return NotImplemented("cudaGraphRetainUserObject");
}
NCCL_CPU_API cudaError_t cudaUserObjectCreate(cudaUserObject_t*, void*,
                                              cudaHostFn_t, unsigned,
                                              unsigned) {
  return NotImplemented("cudaUserObjectCreate");
}
