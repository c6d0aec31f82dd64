#include "collnet.h"

#include <memory>
#include <utility>

#include "coll_group.h"
#include "element_type.h"
#include "net.h"
#include "net_context.h"
#include "properties.h"
#include "result.h"

namespace longhaul::nccl {
namespace {

using abi::ResultCode;

ResultCode Init(void** context, uint64_t comm_id, abi::LogFn log) noexcept {
  SetLog(log);
  return Guarded("collnet init", [&] {
    Result<Process::Hold> process = Process::Acquire();
    if (!process.ok()) return Refuse("collnet init", process.status());
    // Its groups are the core's, inside a site too.
    *context = std::make_unique<NetContext>(std::move(process).value(), nullptr,
                                            comm_id)
                   .release();
    return ResultCode::kSuccess;
  });
}

ResultCode Devices(int* count) noexcept {
  *count = kDevices;
  return ResultCode::kSuccess;
}

ResultCode Properties(int device, abi::PropertiesV12* properties) noexcept {
  return Guarded("collnet getProperties",
                 [&] { return GetProperties(device, properties); });
}

ResultCode Listen(void* context, int /*device*/, void* handle,
                  void** listen_comm) noexcept {
  *listen_comm = nullptr;
  return Guarded("collnet listen", [&] {
    auto& owner = *static_cast<NetContext*>(context);
    Result<std::unique_ptr<CollListener>> listener =
        CollListener::Make(owner.process());
    if (!listener.ok()) return Refuse("collnet listen", listener.status());
    EncodeHandle((*listener)->handle(),
                 HandleBytes(static_cast<uint8_t*>(handle), abi::kHandleBytes));
    *listen_comm = owner.Keep(std::move(listener).value());
    return ResultCode::kSuccess;
  });
}

ResultCode Connect(void** handles, int ranks, int rank, void* listen_comm,
                   void** coll_comm) noexcept {
  *coll_comm = nullptr;
  return Guarded("collnet connect", [&] {
    auto& listener = *static_cast<CollListener*>(listen_comm);
    NetContext& owner = *listener.owner;
    Result<std::unique_ptr<CollGroup>> group = CollGroup::Join(
        owner.process(), owner.comm_id(),
        std::span<void* const>(handles, static_cast<size_t>(ranks)), rank,
        listener);
    if (!group.ok()) return Refuse("collnet connect", group.status());
    *coll_comm = owner.Keep(std::move(group).value());
    return ResultCode::kSuccess;
  });
}

ResultCode ReduceSupport(abi::TypeCode type, abi::OpCode op,
                         int* supported) noexcept {
  *supported = TypeOf(type) && OpOf(op) ? 1 : 0;
  return ResultCode::kSuccess;
}

ResultCode RegMr(void* coll_comm, void* /*data*/, size_t /*size*/, int type,
                 void** mr) noexcept {
  if (type != abi::kPtrHost) return ResultCode::kInvalidUsage;
  *mr = coll_comm;
  return ResultCode::kSuccess;
}

ResultCode RegMrDmabuf(void* /*coll_comm*/, void* /*data*/, size_t /*size*/,
                       int /*type*/, uint64_t /*offset*/, int /*fd*/,
                       void** /*mr*/) noexcept {
  return ResultCode::kInvalidUsage;
}

ResultCode DeregMr(void* /*coll_comm*/, void* /*mr*/) noexcept {
  return ResultCode::kSuccess;
}

ResultCode Give(const char* call, const Result<CollRequest*>& result,
                void** request) {
  *request = nullptr;
  if (!result.ok()) return Refuse(call, result.status());
  *request = *result;
  return ResultCode::kSuccess;
}

ResultCode Iallreduce(void* coll_comm, void* send, void* recv, size_t count,
                      abi::TypeCode type, abi::OpCode op, void* /*send_mr*/,
                      void* /*recv_mr*/, void** request) noexcept {
  *request = nullptr;
  const auto core_type = TypeOf(type);
  const auto core_op = OpOf(op);
  if (!core_type || !core_op) return ResultCode::kInvalidUsage;
  return Give("iallreduce",
              static_cast<CollGroup*>(coll_comm)->AllReduce(
                  send, recv, count, *core_type, *core_op),
              request);
}

ResultCode Iallgather(void* coll_comm, void* send, int recv_parts,
                      abi::PieceV12* recv, size_t bytes_per_rank,
                      size_t window_offset, size_t window_bytes,
                      void* /*send_mr*/, void** request) noexcept {
  *request = nullptr;
  if (recv_parts != 1) return ResultCode::kInvalidUsage;
  return Give(
      "iallgather",
      static_cast<CollGroup*>(coll_comm)->AllGather(
          send, recv->address, bytes_per_rank, {window_offset, window_bytes}),
      request);
}

ResultCode Ireducescatter(void* coll_comm, int send_parts, abi::PieceV12* send,
                          void* recv, size_t bytes_per_rank,
                          size_t window_offset, size_t window_bytes,
                          abi::TypeCode type, abi::OpCode op, void* /*recv_mr*/,
                          void** request) noexcept {
  *request = nullptr;
  const auto core_type = TypeOf(type);
  const auto core_op = OpOf(op);
  if (!core_type || !core_op || send_parts != 1) {
    return ResultCode::kInvalidUsage;
  }
  const size_t size = SizeOf(*core_type);
  if (bytes_per_rank % size != 0 || window_offset % size != 0 ||
      window_bytes % size != 0) {
    return ResultCode::kInvalidUsage;
  }
  return Give(
      "ireducescatter",
      static_cast<CollGroup*>(coll_comm)->ReduceScatter(
          send->address, recv, bytes_per_rank / size,
          {window_offset / size, window_bytes / size}, *core_type, *core_op),
      request);
}

ResultCode Iflush(void* /*coll_comm*/, void* /*data*/, int /*size*/,
                  void* /*mr*/, void** request) noexcept {
  *request = nullptr;
  return ResultCode::kSuccess;
}

ResultCode Test(void* request, int* done, int* size) noexcept {
  *done = 0;
  size_t bytes = 0;
  const Result<bool> over = static_cast<CollRequest*>(request)->Test(&bytes);
  if (!over.ok()) return Refuse("collnet test", over.status());
  if (!*over) return ResultCode::kSuccess;
  *done = 1;
  if (size != nullptr) *size = static_cast<int>(bytes);
  return ResultCode::kSuccess;
}

ResultCode Close(NetObject* object) {
  return Guarded("collnet close", [&] {
    object->owner->Destroy(object);
    return ResultCode::kSuccess;
  });
}
ResultCode CloseColl(void* comm) noexcept {
  return Close(static_cast<CollGroup*>(comm));
}
ResultCode CloseListen(void* comm) noexcept {
  return Close(static_cast<CollListener*>(comm));
}

ResultCode MakeVirtualDevice(int* /*device*/,
                             abi::VirtualDeviceV12* /*members*/) noexcept {
  return ResultCode::kInvalidUsage;
}

ResultCode Finalize(void* context) noexcept {
  return Guarded("collnet finalize", [&] {
    delete static_cast<NetContext*>(context);
    return ResultCode::kSuccess;
  });
}

}  // namespace

const abi::CollNetV12& CollNet() {
  static constexpr abi::CollNetV12 collnet = {
      kNetName,       Init,        Devices,
      Properties,     Listen,      Connect,
      ReduceSupport,  RegMr,       RegMrDmabuf,
      DeregMr,        Iallreduce,  Iallgather,
      Ireducescatter, Iflush,      Test,
      CloseColl,      CloseListen, MakeVirtualDevice,
      Finalize};
  return collnet;
}

}  // namespace longhaul::nccl
