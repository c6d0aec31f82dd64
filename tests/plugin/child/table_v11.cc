// The child with contexts.
#include <memory>

#include "abi/net_v11.h"
#include "border/export.h"
#include "plugin/child/net.h"

namespace longhaul::child {
namespace {

using nccl::abi::CommConfig;
using nccl::abi::LogFn;
using nccl::abi::LogLevel;
using nccl::abi::ProfilerFn;

struct Context {};

ResultCode Init(void** context, uint64_t comm_id, CommConfig* /*config*/,
                LogFn log, ProfilerFn /*profiler*/) noexcept {
  log(LogLevel::kInfo, nccl::abi::kLogInit, "child", 0, "a child begins");
  ++TheCounts().inits;
  TheCounts().comm_id = comm_id;
  *context = std::make_unique<Context>().release();
  return ResultCode::kSuccess;
}

ResultCode ListenUnder(void* context, int device, void* handle,
                       void** listen_comm) noexcept {
  if (context == nullptr || device != 0) return ResultCode::kInvalidArgument;
  return Listen(handle, listen_comm);
}

ResultCode ConnectUnder(void* context, int device, void* handle,
                        void** send_comm,
                        NetDeviceHandle** /*device_comm*/) noexcept {
  if (context == nullptr || device != 0) return ResultCode::kInvalidArgument;
  return Connect(handle, send_comm);
}

ResultCode SendV11(void* send_comm, void* data, size_t size, int /*tag*/,
                   void* mr, void* /*profiler*/, void** request) noexcept {
  return Isend(send_comm, data, size, mr, request);
}

ResultCode RecvV11(void* recv_comm, int /*count*/, void** data, size_t* sizes,
                   int* /*tags*/, void** mrs, void** /*profilers*/,
                   void** request) noexcept {
  return Irecv(recv_comm, data[0], sizes[0], mrs[0], request);
}

ResultCode Finalize(void* context) noexcept {
  ++TheCounts().finalizes;
  delete static_cast<Context*>(context);
  return ResultCode::kSuccess;
}

}  // namespace

// What a host network need not have is null.
LH_NCCL_EXPORT const nccl::abi::NetV11 ncclNetPlugin_v11 = {
    .name = "ChildNet",
    .init = Init,
    .devices = Devices,
    .get_properties = GetProperties<nccl::abi::PropertiesV11>,
    .listen = ListenUnder,
    .connect = ConnectUnder,
    .accept = Accept,
    .reg_mr = RegMr,
    .reg_mr_dmabuf = RegMrDmabuf,
    .dereg_mr = DeregMr,
    .isend = SendV11,
    .irecv = RecvV11,
    .iflush = Iflush,
    .test = Test,
    .close_send = Close,
    .close_recv = Close,
    .close_listen = CloseListen,
    .get_device_mr = nullptr,
    .irecv_consumed = nullptr,
    .make_virtual_device = nullptr,
    .finalize = Finalize,
    .set_net_attr = nullptr,
};

}  // namespace longhaul::child
