#include "border/narrow.h"

#include <algorithm>
#include <type_traits>

namespace longhaul::nccl {
namespace {

// What all versions have.
template <typename Properties>
void Common(const abi::PropertiesV12& from, Properties* to) {
  to->name = from.name;
  to->pci_path = from.pci_path;
  to->guid = from.guid;
  to->ptr_support = from.ptr_support;
  to->reg_is_global = from.reg_is_global;
  to->speed = from.speed;
  to->port = from.port;
  to->latency = from.latency;
  to->max_comms = from.max_comms;
  to->max_recvs = from.max_recvs;
  to->net_device_type = from.net_device_type;
  to->net_device_version = from.net_device_version;
}

// What all have from v9 on.
template <typename Properties>
void CommonFromV9(const abi::PropertiesV12& from, Properties* to) {
  Common(from, to);
  to->force_flush = from.force_flush;
  to->virtual_device = {};
  constexpr int kRoom = std::extent_v<decltype(abi::VirtualDeviceV9::devices)>;
  to->virtual_device.count = std::clamp(from.virtual_device.count, 0, kRoom);
  std::copy_n(from.virtual_device.devices, to->virtual_device.count,
              to->virtual_device.devices);
  to->max_p2p_bytes = from.max_p2p_bytes;
  to->max_coll_bytes = from.max_coll_bytes;
}

}  // namespace

void Narrow(const abi::PropertiesV12& from, abi::PropertiesV8* to) noexcept {
  Common(from, to);
}

void Narrow(const abi::PropertiesV12& from, abi::PropertiesV9* to) noexcept {
  CommonFromV9(from, to);
}

void Narrow(const abi::PropertiesV12& from, abi::PropertiesV11* to) noexcept {
  CommonFromV9(from, to);
  to->max_multi_request_size = from.max_multi_request_size;
}

abi::VirtualDeviceV12 Widen(const abi::VirtualDeviceV9& from) noexcept {
  abi::VirtualDeviceV12 to{};
  constexpr int kRoom = std::extent_v<decltype(abi::VirtualDeviceV9::devices)>;
  to.count = std::clamp(from.count, 0, kRoom);
  std::copy_n(from.devices, to.count, to.devices);
  return to;
}

}  // namespace longhaul::nccl
