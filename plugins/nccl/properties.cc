#include "properties.h"

#include <string>

#include "base/address.h"
#include "base/fnv1a.h"

namespace longhaul::nccl {
namespace {

/// Mbit/s, as NCCL's sockets say where they do not know: it is per device, not
/// per peer, and decides channels, not what is really sent.
constexpr int kSpeed = 10000;
constexpr int kManyComms = 65536;

}  // namespace

abi::ResultCode GetProperties(int device, abi::PropertiesV12* properties) {
  if (device < 0 || device >= kDevices) {
    return abi::ResultCode::kInvalidArgument;
  }
  *properties = {};
  properties->name = "longhaul0";
  const std::string host = HostName();
  properties->guid = Fnv1a(host);
  properties->ptr_support = abi::kPtrHost;
  properties->speed = kSpeed;
  properties->port = 1;
  properties->max_comms = kManyComms;
  properties->max_recvs = 1;
  properties->virtual_device = {1, {device}};
  properties->max_p2p_bytes = abi::kMaxNetBytes;
  properties->max_coll_bytes = size_t{1} << 30;
  properties->max_multi_request_size = 1;
  properties->rail_id = -1;
  properties->plane_id = -1;
  return abi::ResultCode::kSuccess;
}

}  // namespace longhaul::nccl
