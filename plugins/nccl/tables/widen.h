// What the tables' adapters share: older structures into the newest, and a
// look at a table's pointers.
//
// Pure functions.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "abi/properties.h"

namespace longhaul::nccl {

template <typename Properties>
void WidenTo(const Properties& from, abi::PropertiesV12* to) {
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
  if constexpr (requires { from.max_p2p_bytes; }) {
    to->force_flush = from.force_flush;
    to->virtual_device = {};
    to->virtual_device.count = from.virtual_device.count;
    std::copy(std::begin(from.virtual_device.devices),
              std::end(from.virtual_device.devices),
              to->virtual_device.devices);
    to->max_p2p_bytes = from.max_p2p_bytes;
    to->max_coll_bytes = from.max_coll_bytes;
  }
  if constexpr (requires { from.rail_id; }) {
    to->rail_id = from.rail_id;
    to->plane_id = from.plane_id;
  }
}

/// Whether no member of a table, which has pointers only, is null.
template <typename Table>
bool EveryPointerSet(const Table& table) {
  void* pointers[sizeof(Table) / sizeof(void*)];
  std::memcpy(pointers, &table, sizeof table);
  return std::all_of(std::begin(pointers), std::end(pointers),
                     [](const void* pointer) { return pointer != nullptr; });
}

}  // namespace longhaul::nccl
