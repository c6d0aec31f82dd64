#include "abi/net_v8.h"

#include <algorithm>
#include <array>

#include "border/export.h"
#include "border/lone_context.h"
#include "border/narrow.h"
#include "net.h"

namespace longhaul::nccl {
namespace {

using abi::ResultCode;

// The most receives any version of NCCL groups in one call.
constexpr int kMaxGroupedRecvs = 8;

ResultCode Init(abi::LogFn log) noexcept { return OpenNetOnce(log, nullptr); }

ResultCode GetProperties(int device, abi::PropertiesV8* properties) noexcept {
  return NarrowProperties(Net(), device, properties);
}

ResultCode Listen(int device, void* handle, void** listen_comm) noexcept {
  return Net().listen(NetContext(), device, handle, listen_comm);
}

ResultCode Connect(int device, void* handle, void** send_comm,
                   abi::NetDeviceHandle** device_comm) noexcept {
  return Net().connect(NetContext(), device, handle, send_comm, device_comm);
}

ResultCode Isend(void* send_comm, void* data, int size, int tag, void* mr,
                 void** request) noexcept {
  if (size < 0) return ResultCode::kInvalidArgument;
  return Net().isend(send_comm, data, static_cast<size_t>(size), tag, mr,
                     nullptr, request);
}

ResultCode Irecv(void* recv_comm, int count, void** data, int* sizes, int* tags,
                 void** mrs, void** request) noexcept {
  std::array<size_t, kMaxGroupedRecvs> wide;
  if (count < 0 || count > kMaxGroupedRecvs ||
      std::any_of(sizes, sizes + count, [](int size) { return size < 0; })) {
    return ResultCode::kInvalidArgument;
  }
  std::copy_n(sizes, count, wide.begin());
  return Net().irecv(recv_comm, count, data, wide.data(), tags, mrs, nullptr,
                     request);
}

}  // namespace

LH_NCCL_EXPORT const abi::NetV8 ncclNetPlugin_v8 = {
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
};

}  // namespace longhaul::nccl
