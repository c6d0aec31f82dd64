#include "abi/net_v11.h"

#include "border/export.h"
#include "border/narrow.h"
#include "net.h"

namespace longhaul::nccl {
namespace {

using abi::ResultCode;

ResultCode GetProperties(int device, abi::PropertiesV11* properties) noexcept {
  return NarrowProperties(Net(), device, properties);
}

ResultCode MakeVirtualDevice(int* device,
                             abi::VirtualDeviceV9* members) noexcept {
  return WidenVirtualDevice(Net(), device, members);
}

}  // namespace

LH_NCCL_EXPORT const abi::NetV11 ncclNetPlugin_v11 = {
    .name = kNetName,
    .init = Net().init,
    .devices = Net().devices,
    .get_properties = GetProperties,
    .listen = Net().listen,
    .connect = Net().connect,
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
    .finalize = Net().finalize,
    .set_net_attr = Net().set_net_attr,
};

}  // namespace longhaul::nccl
