#include "abi/collnet_v10.h"

#include "border/export.h"
#include "border/lone_context.h"
#include "border/narrow.h"
#include "collnet.h"
#include "net.h"

namespace longhaul::nccl {
namespace {

using abi::ResultCode;

ResultCode Init(abi::LogFn log) noexcept { return OpenCollNetOnce(log); }

ResultCode GetProperties(int device, abi::PropertiesV10* properties) noexcept {
  return NarrowProperties(CollNet(), device, properties);
}

ResultCode Listen(int device, void* handle, void** listen_comm) noexcept {
  return CollNet().listen(CollNetContext(), device, handle, listen_comm);
}

ResultCode MakeVirtualDevice(int* device,
                             abi::VirtualDeviceV9* members) noexcept {
  return WidenVirtualDevice(CollNet(), device, members);
}

}  // namespace

LH_NCCL_EXPORT const abi::CollNetV10 ncclCollNetPlugin_v10 = {
    .name = kNetName,
    .init = Init,
    .devices = CollNet().devices,
    .get_properties = GetProperties,
    .listen = Listen,
    .connect = CollNet().connect,
    .reduce_support = CollNet().reduce_support,
    .reg_mr = CollNet().reg_mr,
    .reg_mr_dmabuf = CollNet().reg_mr_dmabuf,
    .dereg_mr = CollNet().dereg_mr,
    .iallreduce = CollNet().iallreduce,
    .iallgather = CollNet().iallgather,
    .ireducescatter = CollNet().ireducescatter,
    .iflush = CollNet().iflush,
    .test = CollNet().test,
    .close_coll = CollNet().close_coll,
    .close_listen = CollNet().close_listen,
    .make_virtual_device = MakeVirtualDevice,
};

}  // namespace longhaul::nccl
