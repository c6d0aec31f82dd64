// What a plugin says of a device, and the small structures that travel with it,
// per version of the interface. V10 is V9 unless it is named.
//
// Plain values.
#pragma once

#include <cstddef>
#include <cstdint>

#include "abi/common.h"

namespace longhaul::nccl::abi {

/// Devices bundled as one; a single device names itself.
struct VirtualDeviceV9 {
  int count;
  int devices[4];
};
using VirtualDeviceV11 = VirtualDeviceV9;
struct VirtualDeviceV12 {
  int count;
  int devices[8];
};
static_assert(sizeof(VirtualDeviceV9) == 20);
static_assert(sizeof(VirtualDeviceV12) == 36);

struct PropertiesV8 {
  const char* name;
  const char* pci_path;  ///< in /sys; may be null
  uint64_t guid;
  int ptr_support;    ///< kPtrHost, ...
  int reg_is_global;  ///< reg_mr() holds for all comms
  int speed;          ///< Mbit/s
  int port;
  float latency;  ///< microseconds
  int max_comms;
  int max_recvs;           ///< receives of one irecv()
  int net_device_type;     ///< 0: host
  int net_device_version;  ///< 0: none
};
static_assert(offsetof(PropertiesV8, pci_path) == 8);
static_assert(offsetof(PropertiesV8, guid) == 16);
static_assert(offsetof(PropertiesV8, ptr_support) == 24);
static_assert(offsetof(PropertiesV8, reg_is_global) == 28);
static_assert(offsetof(PropertiesV8, speed) == 32);
static_assert(offsetof(PropertiesV8, port) == 36);
static_assert(offsetof(PropertiesV8, latency) == 40);
static_assert(offsetof(PropertiesV8, max_comms) == 44);
static_assert(offsetof(PropertiesV8, max_recvs) == 48);
static_assert(offsetof(PropertiesV8, net_device_type) == 52);
static_assert(offsetof(PropertiesV8, net_device_version) == 56);
static_assert(sizeof(PropertiesV8) == 64);

struct PropertiesV9 {
  const char* name;
  const char* pci_path;
  uint64_t guid;
  int ptr_support;
  int reg_is_global;
  int force_flush;
  int speed;
  int port;
  float latency;
  int max_comms;
  int max_recvs;
  int net_device_type;
  int net_device_version;
  VirtualDeviceV9 virtual_device;
  size_t max_p2p_bytes;   ///< of one isend(); at most kMaxNetBytes
  size_t max_coll_bytes;  ///< of one iallreduce(); at most kMaxNetBytes
};
using PropertiesV10 = PropertiesV9;
static_assert(offsetof(PropertiesV9, ptr_support) == 24);
static_assert(offsetof(PropertiesV9, force_flush) == 32);
static_assert(offsetof(PropertiesV9, speed) == 36);
static_assert(offsetof(PropertiesV9, latency) == 44);
static_assert(offsetof(PropertiesV9, max_recvs) == 52);
static_assert(offsetof(PropertiesV9, net_device_version) == 60);
static_assert(offsetof(PropertiesV9, virtual_device) == 64);
static_assert(offsetof(PropertiesV9, max_p2p_bytes) == 88);
static_assert(offsetof(PropertiesV9, max_coll_bytes) == 96);
static_assert(sizeof(PropertiesV9) == 104);

struct PropertiesV11 {
  const char* name;
  const char* pci_path;
  uint64_t guid;
  int ptr_support;
  int reg_is_global;
  int force_flush;
  int speed;
  int port;
  float latency;
  int max_comms;
  int max_recvs;
  int net_device_type;
  int net_device_version;
  VirtualDeviceV11 virtual_device;
  size_t max_p2p_bytes;
  size_t max_coll_bytes;
  int max_multi_request_size;
};
static_assert(offsetof(PropertiesV11, virtual_device) == 64);
static_assert(offsetof(PropertiesV11, max_p2p_bytes) == 88);
static_assert(offsetof(PropertiesV11, max_multi_request_size) == 104);
static_assert(sizeof(PropertiesV11) == 112);

struct PropertiesV12 {
  const char* name;
  const char* pci_path;
  uint64_t guid;
  int ptr_support;
  int reg_is_global;
  int force_flush;
  int speed;
  int port;
  float latency;
  int max_comms;
  int max_recvs;
  int net_device_type;
  int net_device_version;
  VirtualDeviceV12 virtual_device;
  size_t max_p2p_bytes;
  size_t max_coll_bytes;
  int max_multi_request_size;
  int16_t rail_id;   ///< -1: unknown
  int16_t plane_id;  ///< -1: unknown
};
static_assert(offsetof(PropertiesV12, virtual_device) == 64);
static_assert(offsetof(PropertiesV12, max_p2p_bytes) == 104);
static_assert(offsetof(PropertiesV12, max_coll_bytes) == 112);
static_assert(offsetof(PropertiesV12, max_multi_request_size) == 120);
static_assert(offsetof(PropertiesV12, rail_id) == 124);
static_assert(offsetof(PropertiesV12, plane_id) == 126);
static_assert(sizeof(PropertiesV12) == 128);

/// What a communicator asks of its connections, v10 and later.
struct CommConfig {
  int traffic_class;  ///< -1: none
};
static_assert(sizeof(CommConfig) == 4);

/// What NCCL means to do with its connections, v11 and later. Hints; -1 where
/// unknown.
struct FlowAttributes {
  int32_t max_concurrent_peers;
  int32_t min_concurrent_peers;
  int32_t max_flows_per_peer;
  int32_t min_flows_per_peer;
};
struct NetAttributes {
  FlowAttributes send;
  FlowAttributes recv;
  uint32_t op;     ///< bit 1 << FuncCode
  uint32_t algo;   ///< bit per algorithm
  uint32_t proto;  ///< bit per protocol
};
static_assert(offsetof(NetAttributes, recv) == 16);
static_assert(offsetof(NetAttributes, op) == 32);
static_assert(offsetof(NetAttributes, proto) == 40);
static_assert(sizeof(NetAttributes) == 44);

/// A piece of registered memory, of iallgather() and ireducescatter().
struct PieceV8 {
  void* mr;
  void* address;
  uint32_t size;  ///< bytes
};
struct PieceV9 {
  void* mr;
  void* address;
  size_t size;  ///< bytes
};
using PieceV10 = PieceV9;
using PieceV11 = PieceV9;
using PieceV12 = PieceV9;
static_assert(offsetof(PieceV8, size) == 16 && sizeof(PieceV8) == 24);
static_assert(offsetof(PieceV9, size) == 16 && sizeof(PieceV9) == 24);

}  // namespace longhaul::nccl::abi
