// The child of old: no contexts, 32-bit sizes, another name.
#include "abi/net_v8.h"
#include "border/export.h"
#include "plugin/child/net.h"

namespace longhaul::child {
namespace {

using nccl::abi::LogFn;
using nccl::abi::LogLevel;

ResultCode Init(LogFn log) noexcept {
  log(LogLevel::kInfo, nccl::abi::kLogInit, "child", 0, "a child begins");
  ++TheCounts().inits;
  return ResultCode::kSuccess;
}

ResultCode ListenV8(int device, void* handle, void** listen_comm) noexcept {
  if (device != 0) return ResultCode::kInvalidArgument;
  return Listen(handle, listen_comm);
}

ResultCode ConnectV8(int device, void* handle, void** send_comm,
                     NetDeviceHandle** /*device_comm*/) noexcept {
  if (device != 0) return ResultCode::kInvalidArgument;
  return Connect(handle, send_comm);
}

ResultCode SendV8(void* send_comm, void* data, int size, int /*tag*/, void* mr,
                  void** request) noexcept {
  return Isend(send_comm, data, static_cast<size_t>(size), mr, request);
}

ResultCode RecvV8(void* recv_comm, int /*count*/, void** data, int* sizes,
                  int* /*tags*/, void** mrs, void** request) noexcept {
  return Irecv(recv_comm, data[0], static_cast<size_t>(sizes[0]), mrs[0],
               request);
}

}  // namespace

// What a host network need not have is null.
LH_NCCL_EXPORT const nccl::abi::NetV8 ncclNetPlugin_v8 = {
    .name = "OldChildNet",
    .init = Init,
    .devices = Devices,
    .get_properties = GetProperties<nccl::abi::PropertiesV8>,
    .listen = ListenV8,
    .connect = ConnectV8,
    .accept = Accept,
    .reg_mr = RegMr,
    .reg_mr_dmabuf = RegMrDmabuf,
    .dereg_mr = DeregMr,
    .isend = SendV8,
    .irecv = RecvV8,
    .iflush = nullptr,
    .test = Test,
    .close_send = Close,
    .close_recv = Close,
    .close_listen = CloseListen,
    .get_device_mr = nullptr,
    .irecv_consumed = nullptr,
};

}  // namespace longhaul::child
