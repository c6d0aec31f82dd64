#include "delegate_comm.h"

#include <algorithm>
#include <array>

#include "abi/common.h"
#include "base/text.h"

namespace longhaul::nccl {
namespace {

using abi::ResultCode;
using Session = SitePlugin::Session;

/// Sends, receives and flushes of a comm together; NCCL has at most half as
/// many under way.
constexpr size_t kRequests = 64;

// NCCL knows a request by its address alone, and the child's must not be taken
// for one of ours.
class DelegateRequest final : public NetRequest {
 public:
  Result<bool> Test(size_t* bytes) override {
    int done = 0;
    int size = 0;
    const ResultCode code = session_->net().Test(request_, &done, &size);
    if (code != ResultCode::kSuccess) {
      return ChildFault(session_->name(), "test", code);
    }
    if (done == 0) return false;
    *bytes = static_cast<size_t>(size);
    request_ = nullptr;
    return true;
  }
  bool free() const { return request_ == nullptr; }
  void Follow(Session& session, void* request) {
    session_ = &session;
    request_ = request;
  }

 private:
  Session* session_ = nullptr;
  void* request_ = nullptr;
};

/// An end's share in the child, and its requests.
class ChildEnd {
 public:
  ChildEnd(Session& session, void* comm) : session_(session), comm_(comm) {}

  NetTable& net() { return session_.net(); }
  void* comm() { return comm_; }

  Result<void*> RegMr(void* data, size_t size) {
    void* mr = nullptr;
    const ResultCode code = net().RegMr(comm_, data, size, abi::kPtrHost, &mr);
    if (code != ResultCode::kSuccess) return Fault("regMr", code);
    return mr;
  }
  Status DeregMr(void* mr) {
    const ResultCode code = net().DeregMr(comm_, mr);
    return code == ResultCode::kSuccess ? Status() : Fault("deregMr", code);
  }
  Status CheckLength(size_t size) const {
    if (size <= session_.longest()) return {};
    return {StatusCode::kInvalidArgument,
            Text("a message of %zu bytes; %s takes %zu at most", size,
                 session_.name(), session_.longest()),
            FaultScope::kConnection};
  }

  /// Null: as many as there can be are under way.
  DelegateRequest* Free() {
    const auto found =
        std::find_if(requests_.begin(), requests_.end(),
                     [](const DelegateRequest& one) { return one.free(); });
    return found == requests_.end() ? nullptr : &*found;
  }
  /// What the child's `call` has given.
  Result<NetRequest*> Give(DelegateRequest* free, const char* call,
                           ResultCode code, void* request) {
    if (code != ResultCode::kSuccess) return Fault(call, code);
    if (request == nullptr) return static_cast<NetRequest*>(nullptr);
    free->Follow(session_, request);
    return static_cast<NetRequest*>(free);
  }

 private:
  Status Fault(const char* call, ResultCode code) const {
    return ChildFault(session_.name(), call, code);
  }

  Session& session_;
  void* const comm_;
  std::array<DelegateRequest, kRequests> requests_;
};

class DelegateSend final : public SendComm {
 public:
  DelegateSend(Session& session, void* comm) : child_(session, comm) {}
  ~DelegateSend() override { child_.net().CloseSend(child_.comm()); }

  Result<void*> RegMr(void* data, size_t size) override {
    return child_.RegMr(data, size);
  }
  Status DeregMr(void* mr) override { return child_.DeregMr(mr); }

  Result<NetRequest*> Send(const void* data, size_t size, void* mr) override {
    const Status fits = child_.CheckLength(size);
    if (!fits.ok()) return fits;
    DelegateRequest* const free = child_.Free();
    if (free == nullptr) return static_cast<NetRequest*>(nullptr);
    void* request = nullptr;
    const ResultCode code = child_.net().Isend(
        child_.comm(), const_cast<void*>(data), size, 0, mr, &request);
    return child_.Give(free, "isend", code, request);
  }

 private:
  ChildEnd child_;
};

class DelegateRecv final : public RecvComm {
 public:
  DelegateRecv(Session& session, void* comm) : child_(session, comm) {}
  ~DelegateRecv() override { child_.net().CloseRecv(child_.comm()); }

  Result<void*> RegMr(void* data, size_t size) override {
    return child_.RegMr(data, size);
  }
  Status DeregMr(void* mr) override { return child_.DeregMr(mr); }

  Result<NetRequest*> Recv(void* data, size_t size, void* mr,
                           void* hint) override {
    const Status fits = child_.CheckLength(size);
    if (!fits.ok()) return fits;
    DelegateRequest* const free = child_.Free();
    if (free == nullptr) return static_cast<NetRequest*>(nullptr);
    // v8 knows no hint.
    void* request = child_.net().version() == kOldestNet ? nullptr : hint;
    const ResultCode code =
        child_.net().Irecv(child_.comm(), data, size, 0, mr, &request);
    return child_.Give(free, "irecv", code, request);
  }

  Result<NetRequest*> Flush(void* data, int size, void* mr) override {
    DelegateRequest* const free = child_.Free();
    if (free == nullptr) {
      return Status(StatusCode::kExhausted, "too many flushes under way",
                    FaultScope::kConnection);
    }
    void* request = nullptr;
    const ResultCode code =
        child_.net().Iflush(child_.comm(), data, size, mr, &request);
    return child_.Give(free, "iflush", code, request);
  }

 private:
  ChildEnd child_;
};

}  // namespace

std::unique_ptr<SendComm> MakeDelegateSend(Session& session, void* child_comm) {
  return std::make_unique<DelegateSend>(session, child_comm);
}

std::unique_ptr<RecvComm> MakeDelegateRecv(Session& session, void* child_comm) {
  return std::make_unique<DelegateRecv>(session, child_comm);
}

}  // namespace longhaul::nccl
