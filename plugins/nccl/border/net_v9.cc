#include "abi/net_v9.h"

#include "border/export.h"
#include "border/lone_context.h"
#include "border/narrow.h"
#include "net.h"

namespace longhaul::nccl {
namespace {

using abi::ResultCode;

ResultCode Init(abi::LogFn log) noexcept { return OpenNetOnce(log, nullptr); }

ResultCode GetProperties(int device, abi::PropertiesV9* properties) noexcept {
  return NarrowProperties(Net(), device, properties);
}

ResultCode Listen(int device, void* handle, void** listen_comm) noexcept {
  return Net().listen(NetContext(), device, handle, listen_comm);
}

ResultCode Connect(int device, void* handle, void** send_comm,
                   abi::NetDeviceHandle** device_comm) noexcept {
  return Net().connect(NetContext(), device, handle, send_comm, device_comm);
}

ResultCode Isend(void* send_comm, void* data, size_t size, int tag, void* mr,
                 void** request) noexcept {
  return Net().isend(send_comm, data, size, tag, mr, nullptr, request);
}

ResultCode Irecv(void* recv_comm, int count, void** data, size_t* sizes,
                 int* tags, void** mrs, void** request) noexcept {
  return Net().irecv(recv_comm, count, data, sizes, tags, mrs, nullptr,
                     request);
}

ResultCode MakeVirtualDevice(int* device,
                             abi::VirtualDeviceV9* members) noexcept {
  return WidenVirtualDevice(Net(), device, members);
}

}  // namespace

LH_NCCL_EXPORT const abi::NetV9 ncclNetPlugin_v9 = {
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
    .isend = Isend,
    .irecv = Irecv,
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
