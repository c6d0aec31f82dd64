// From the newest structures to those of older versions, and back where NCCL
// hands them in.
//
// Pure functions; any thread.
#pragma once

#include "abi/properties.h"

namespace longhaul::nccl {

void Narrow(const abi::PropertiesV12& from, abi::PropertiesV8* to) noexcept;
void Narrow(const abi::PropertiesV12& from, abi::PropertiesV9* to) noexcept;
void Narrow(const abi::PropertiesV12& from, abi::PropertiesV11* to) noexcept;

abi::VirtualDeviceV12 Widen(const abi::VirtualDeviceV9& from) noexcept;

/// get_properties() of `table` for an older version.
template <typename Table, typename Properties>
abi::ResultCode NarrowProperties(const Table& table, int device,
                                 Properties* properties) noexcept {
  if (!properties) return abi::ResultCode::kInvalidArgument;
  abi::PropertiesV12 newest{};
  const abi::ResultCode code = table.get_properties(device, &newest);
  if (code == abi::ResultCode::kSuccess) Narrow(newest, properties);
  return code;
}

/// make_virtual_device() of `table` for an older version.
template <typename Table>
abi::ResultCode WidenVirtualDevice(const Table& table, int* device,
                                   abi::VirtualDeviceV9* members) noexcept {
  if (!members) return abi::ResultCode::kInvalidArgument;
  abi::VirtualDeviceV12 newest = Widen(*members);
  return table.make_virtual_device(device, &newest);
}

}  // namespace longhaul::nccl
