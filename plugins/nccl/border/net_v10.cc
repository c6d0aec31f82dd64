#include "abi/net_v10.h"

#include "border/export.h"
#include "border/lone_context.h"
#include "border/narrow.h"
#include "net.h"

namespace longhaul::nccl {
namespace {

using abi::ResultCode;

ResultCode Init(abi::LogFn log, abi::ProfilerFn profiler) noexcept {
  return OpenNetOnce(log, profiler);
}

ResultCode GetProperties(int device, abi::PropertiesV10* properties) noexcept {
  return NarrowProperties(Net(), device, properties);
}

ResultCode Listen(int device, void* handle, void** listen_comm) noexcept {
  return Net().listen(NetContext(), device, handle, listen_comm);
}

ResultCode Connect(int device, abi::CommConfig* /*config*/, void* handle,
                   void** send_comm,
                   abi::NetDeviceHandle** device_comm) noexcept {
  return Net().connect(NetContext(), device, handle, send_comm, device_comm);
}

ResultCode MakeVirtualDevice(int* device,
                             abi::VirtualDeviceV9* members) noexcept {
  return WidenVirtualDevice(Net(), device, members);
}

}  // namespace

LH_NCCL_EXPORT const abi::NetV10 ncclNetPlugin_v10 = {
    .name = kNetName,
    .init = Init,
    .devices = Net().devices,
    .get_properties = GetProperties,
    .listen = Listen,
    .connect = Connect,
    .accept = Net().accept,
    .reg_mr = Net().reg_mr,
    .reg_mr_dmabuf = Net().reg_mr_dmabuf,
    .dereg_mr = Net().dereg_mr,
    .isend = Net().isend,
    .irecv = Net().irecv,
    .iflush = Net().iflush,
    .test = Net().test,
    .close_send = Net().close_send,
    .close_recv = Net().close_recv,
    .close_listen = Net().close_listen,
    .get_device_mr = Net().get_device_mr,
    .irecv_consumed = Net().irecv_consumed,
    .make_virtual_device = MakeVirtualDevice,
};

}  // namespace longhaul::nccl
