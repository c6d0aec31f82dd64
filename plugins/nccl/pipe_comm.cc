#include "pipe_comm.h"

#include <array>
#include <optional>

namespace longhaul::nccl {
namespace {

// NCCL knows a request by its address alone, so each keeps to its pipe's.
class PipeNetRequest final : public NetRequest {
 public:
  Result<bool> Test(size_t* bytes) override {
    if (!pipe_request_->Done()) {
      process_->Assist();
      if (!pipe_request_->Done()) return false;
    }
    if (!pipe_request_->status().ok()) return pipe_request_->status();
    *bytes = pipe_request_->bytes();
    pipe_request_->Release();
    pipe_request_ = nullptr;
    return true;
  }
  void Follow(Process& process, PipeRequest* request) {
    process_ = &process;
    pipe_request_ = request;
    process.Assist();
  }

 private:
  Process* process_ = nullptr;
  PipeRequest* pipe_request_ = nullptr;
};

/// As many as the pipe has, taken in the same order.
class PipeNetRequests {
 public:
  NetRequest* Follow(Process& process, PipeRequest* request) {
    if (request == nullptr) return nullptr;
    PipeNetRequest& next = requests_[next_++ % kPipeRequests];
    next.Follow(process, request);
    return &next;
  }

 private:
  std::array<PipeNetRequest, kPipeRequests> requests_;
  size_t next_ = 0;
};

class PipeSend final : public SendComm {
 public:
  PipeSend(Process& process, Connection& connection, uint64_t incarnation,
           uint64_t cookie)
      : process_(process) {
    process_.engine().Call([&](TimePoint) {
      pipe_.emplace(process_.engine(), connection,
                    process_.context().NextPipe(incarnation), cookie,
                    process_.greeting());
    });
  }
  ~PipeSend() override {
    process_.engine().Call([this](TimePoint) { pipe_.reset(); });
  }

  Result<NetRequest*> Send(const void* data, size_t size,
                           void* /*mr*/) override {
    return requests_.Follow(process_, pipe_->Send(data, size));
  }

 private:
  Process& process_;
  std::optional<OutPipe> pipe_;
  PipeNetRequests requests_;
};

class PipeRecv final : public RecvComm {
 public:
  PipeRecv(Process& process, PipeHub& hub, uint32_t number)
      : process_(process) {
    process_.engine().Call(
        [&](TimePoint) { pipe_.emplace(process_.engine(), hub, number); });
  }
  ~PipeRecv() override {
    process_.engine().Call([this](TimePoint) { pipe_.reset(); });
  }

  Result<NetRequest*> Recv(void* data, size_t size, void* /*mr*/,
                           void* /*hint*/) override {
    return requests_.Follow(process_, pipe_->Recv(data, size));
  }

 private:
  Process& process_;
  std::optional<InPipe> pipe_;
  PipeNetRequests requests_;
};

}  // namespace

std::unique_ptr<SendComm> MakePipeSend(Process& process, Connection& connection,
                                       uint64_t incarnation, uint64_t cookie) {
  return std::make_unique<PipeSend>(process, connection, incarnation, cookie);
}

std::unique_ptr<RecvComm> MakePipeRecv(Process& process, PipeHub& hub,
                                       uint32_t number) {
  return std::make_unique<PipeRecv>(process, hub, number);
}

}  // namespace longhaul::nccl
