#include "abi/collnet_v11.h"

#include "border/export.h"
#include "border/narrow.h"
#include "collnet.h"
#include "net.h"

namespace longhaul::nccl {
namespace {

using abi::ResultCode;

ResultCode GetProperties(int device, abi::PropertiesV11* properties) noexcept {
  return NarrowProperties(CollNet(), device, properties);
}

ResultCode MakeVirtualDevice(int* device,
                             abi::VirtualDeviceV9* members) noexcept {
  return WidenVirtualDevice(CollNet(), device, members);
}

}  // namespace

LH_NCCL_EXPORT const abi::CollNetV11 ncclCollNetPlugin_v11 = {
    .name = kNetName,
    .init = CollNet().init,
    .devices = CollNet().devices,
    .get_properties = GetProperties,
    .listen = CollNet().listen,
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
    .finalize = CollNet().finalize,
};

}  // namespace longhaul::nccl
