#include "net.h"

#include <memory>
#include <utility>

#include "connecting.h"
#include "listener.h"
#include "net_context.h"
#include "properties.h"
#include "result.h"

namespace longhaul::nccl {
namespace {

using abi::ResultCode;

ResultCode Init(void** context, uint64_t comm_id, abi::CommConfig* /*config*/,
                abi::LogFn log, abi::ProfilerFn /*profiler*/) noexcept {
  SetLog(log);
  return Guarded("init", [&] {
    Result<Process::Hold> process = Process::Acquire();
    if (!process.ok()) return Refuse("init", process.status());
    std::unique_ptr<SitePlugin::Session> site;
    if (SitePlugin* plugin = (*process)->site_plugin()) {
      Result<std::unique_ptr<SitePlugin::Session>> session =
          plugin->Begin(comm_id, log);
      if (!session.ok()) return Refuse("init", session.status());
      site = std::move(session).value();
    }
    *context = std::make_unique<NetContext>(std::move(process).value(),
                                            std::move(site), comm_id)
                   .release();
    return ResultCode::kSuccess;
  });
}

ResultCode Devices(int* count) noexcept {
  *count = kDevices;
  return ResultCode::kSuccess;
}

ResultCode Properties(int device, abi::PropertiesV12* properties) noexcept {
  return Guarded("getProperties",
                 [&] { return GetProperties(device, properties); });
}

ResultCode Listen(void* context, int /*device*/, void* handle,
                  void** listen_comm) noexcept {
  *listen_comm = nullptr;
  return Guarded("listen", [&] {
    auto& owner = *static_cast<NetContext*>(context);
    auto listener = std::make_unique<Listener>(owner.process(), owner.site());
    EncodeHandle(owner.process().HandleFor(listener->cookie()),
                 HandleBytes(static_cast<uint8_t*>(handle), abi::kHandleBytes));
    *listen_comm = owner.Keep(std::move(listener));
    return ResultCode::kSuccess;
  });
}

ResultCode Connect(void* context, int /*device*/, void* handle,
                   void** send_comm,
                   abi::NetDeviceHandle** /*device_comm*/) noexcept {
  *send_comm = nullptr;
  return Guarded("connect", [&] {
    auto& owner = *static_cast<NetContext*>(context);
    const HandleBytes bytes(static_cast<uint8_t*>(handle), abi::kHandleBytes);
    const Result<Handle> to = DecodeHandle(bytes);
    if (!to.ok()) return Refuse("connect", to.status());
    auto* connecting = owner.Find<Connecting>(StageOf(bytes));
    if (connecting == nullptr) {
      connecting = owner.Keep(std::make_unique<Connecting>(
          owner.process(), owner.site(), to.value()));
      SetStage(bytes, static_cast<NetObject*>(connecting));
    }
    Result<std::unique_ptr<SendComm>> comm = connecting->Poll();
    if (comm.ok() && *comm == nullptr) return ResultCode::kSuccess;
    SetStage(bytes, nullptr);
    owner.Destroy(connecting);
    if (!comm.ok()) return Refuse("connect", comm.status());
    *send_comm = static_cast<Comm*>(owner.Keep(std::move(comm).value()));
    return ResultCode::kSuccess;
  });
}

ResultCode Accept(void* listen_comm, void** recv_comm,
                  abi::NetDeviceHandle** /*device_comm*/) noexcept {
  *recv_comm = nullptr;
  return Guarded("accept", [&] {
    auto& listener = *static_cast<Listener*>(listen_comm);
    Result<std::unique_ptr<RecvComm>> comm = listener.Accept();
    if (!comm.ok()) return Refuse("accept", comm.status());
    if (*comm == nullptr) return ResultCode::kSuccess;
    *recv_comm =
        static_cast<Comm*>(listener.owner->Keep(std::move(comm).value()));
    return ResultCode::kSuccess;
  });
}

Comm& CommOf(void* comm) { return *static_cast<Comm*>(comm); }
SendComm& SenderOf(void* comm) { return static_cast<SendComm&>(CommOf(comm)); }
RecvComm& ReceiverOf(void* comm) {
  return static_cast<RecvComm&>(CommOf(comm));
}

ResultCode RegMr(void* comm, void* data, size_t size, int type,
                 void** mr) noexcept {
  if (type != abi::kPtrHost) return ResultCode::kInvalidUsage;
  const Result<void*> made = CommOf(comm).RegMr(data, size);
  if (!made.ok()) return Refuse("regMr", made.status());
  *mr = *made;
  return ResultCode::kSuccess;
}

ResultCode RegMrDmabuf(void* /*comm*/, void* /*data*/, size_t /*size*/,
                       int /*type*/, uint64_t /*offset*/, int /*fd*/,
                       void** /*mr*/) noexcept {
  return ResultCode::kInvalidUsage;
}

ResultCode DeregMr(void* comm, void* mr) noexcept {
  const Status status = CommOf(comm).DeregMr(mr);
  return status.ok() ? ResultCode::kSuccess : Refuse("deregMr", status);
}

// A fault of a comm is said again at every call: some versions of NCCL swallow
// the first.
ResultCode Give(const char* call, const Result<NetRequest*>& result,
                void** request) {
  *request = nullptr;
  if (!result.ok()) return Refuse(call, result.status());
  *request = *result;
  return ResultCode::kSuccess;
}

ResultCode Isend(void* send_comm, void* data, size_t size, int /*tag*/,
                 void* mr, void* /*profiler*/, void** request) noexcept {
  return Give("isend", SenderOf(send_comm).Send(data, size, mr), request);
}

// What *request holds when irecv() is called, if it is a hint. Older versions
// of NCCL leave anything there.
void* HintIn(void* const* request) {
  const bool is_one =
      reinterpret_cast<uintptr_t>(*request) == abi::kOptionalRecvCompletion;
  return is_one ? *request : nullptr;
}

ResultCode Irecv(void* recv_comm, int count, void** data, size_t* sizes,
                 int* /*tags*/, void** mrs, void** /*profilers*/,
                 void** request) noexcept {
  void* const hint = HintIn(request);
  *request = nullptr;
  if (count != 1) return ResultCode::kInvalidUsage;
  return Give("irecv",
              ReceiverOf(recv_comm).Recv(
                  data[0], sizes[0], mrs == nullptr ? nullptr : mrs[0], hint),
              request);
}

ResultCode Iflush(void* recv_comm, int count, void** data, int* sizes,
                  void** mrs, void** request) noexcept {
  *request = nullptr;
  if (count != 1) return ResultCode::kInvalidUsage;
  return Give("iflush",
              ReceiverOf(recv_comm).Flush(data[0], sizes[0],
                                          mrs == nullptr ? nullptr : mrs[0]),
              request);
}

ResultCode Test(void* request, int* done, int* sizes) noexcept {
  *done = 0;
  size_t bytes = 0;
  const Result<bool> over = static_cast<NetRequest*>(request)->Test(&bytes);
  if (!over.ok()) return Refuse("test", over.status());
  if (!*over) return ResultCode::kSuccess;
  *done = 1;
  if (sizes != nullptr) *sizes = static_cast<int>(bytes);
  return ResultCode::kSuccess;
}

ResultCode Close(NetObject* object) {
  return Guarded("close", [&] {
    object->owner->Destroy(object);
    return ResultCode::kSuccess;
  });
}
ResultCode CloseSend(void* comm) noexcept { return Close(&CommOf(comm)); }
ResultCode CloseRecv(void* comm) noexcept { return Close(&CommOf(comm)); }
ResultCode CloseListen(void* comm) noexcept {
  return Close(static_cast<Listener*>(comm));
}

ResultCode GetDeviceMr(void* /*comm*/, void* /*mr*/,
                       void** /*device_mr*/) noexcept {
  return ResultCode::kInvalidUsage;
}
// NCCL calls it for every receive, whatever the device, where it is not null.
ResultCode IrecvConsumed(void* /*comm*/, int /*count*/,
                         void* /*request*/) noexcept {
  return ResultCode::kSuccess;
}
ResultCode MakeVirtualDevice(int* /*device*/,
                             abi::VirtualDeviceV12* /*members*/) noexcept {
  return ResultCode::kInvalidUsage;
}

ResultCode Finalize(void* context) noexcept {
  return Guarded("finalize", [&] {
    delete static_cast<NetContext*>(context);
    return ResultCode::kSuccess;
  });
}

ResultCode SetNetAttr(void* /*context*/,
                      abi::NetAttributes* /*attributes*/) noexcept {
  return ResultCode::kSuccess;
}

}  // namespace

const abi::NetV12& Net() {
  static constexpr abi::NetV12 net = {
      kNetName,  Init,        Devices,     Properties,    Listen,
      Connect,   Accept,      RegMr,       RegMrDmabuf,   DeregMr,
      Isend,     Irecv,       Iflush,      Test,          CloseSend,
      CloseRecv, CloseListen, GetDeviceMr, IrecvConsumed, MakeVirtualDevice,
      Finalize,  SetNetAttr};
  return net;
}

}  // namespace longhaul::nccl
