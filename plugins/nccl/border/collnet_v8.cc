#include "abi/collnet_v8.h"

#include <algorithm>
#include <array>

#include "border/export.h"
#include "border/lone_context.h"
#include "border/narrow.h"
#include "collnet.h"
#include "net.h"

namespace longhaul::nccl {
namespace {

using abi::PieceV12;
using abi::ResultCode;

constexpr int kMaxPieces = 16;  // NCCL has one per call

using Pieces = std::array<PieceV12, kMaxPieces>;

// False if there are more than fit.
bool Widen(const abi::PieceV8* pieces, int count, Pieces* wide) {
  if (count < 0 || count > kMaxPieces) return false;
  std::transform(pieces, pieces + count, wide->begin(),
                 [](const abi::PieceV8& piece) {
                   return PieceV12{piece.mr, piece.address, piece.size};
                 });
  return true;
}

ResultCode Init(abi::LogFn log) noexcept { return OpenCollNetOnce(log); }

ResultCode GetProperties(int device, abi::PropertiesV8* properties) noexcept {
  return NarrowProperties(CollNet(), device, properties);
}

ResultCode Listen(int device, void* handle, void** listen_comm) noexcept {
  return CollNet().listen(CollNetContext(), device, handle, listen_comm);
}

ResultCode Iallreduce(void* coll_comm, void* send, void* recv, int count,
                      abi::TypeCode type, abi::OpCode op, void* send_mr,
                      void* recv_mr, void** request) noexcept {
  if (count < 0) return ResultCode::kInvalidArgument;
  return CollNet().iallreduce(coll_comm, send, recv, static_cast<size_t>(count),
                              type, op, send_mr, recv_mr, request);
}

ResultCode Iallgather(void* coll_comm, void* send, int recv_parts,
                      abi::PieceV8* recv, size_t bytes_per_rank,
                      size_t window_offset, size_t window_bytes, void* send_mr,
                      void** request) noexcept {
  Pieces wide;
  if (!Widen(recv, recv_parts, &wide)) return ResultCode::kInvalidArgument;
  return CollNet().iallgather(coll_comm, send, recv_parts, wide.data(),
                              bytes_per_rank, window_offset, window_bytes,
                              send_mr, request);
}

ResultCode Ireducescatter(void* coll_comm, int send_parts, abi::PieceV8* send,
                          void* recv, size_t bytes_per_rank,
                          size_t window_offset, size_t window_bytes,
                          abi::TypeCode type, abi::OpCode op, void* recv_mr,
                          void** request) noexcept {
  Pieces wide;
  if (!Widen(send, send_parts, &wide)) return ResultCode::kInvalidArgument;
  return CollNet().ireducescatter(coll_comm, send_parts, wide.data(), recv,
                                  bytes_per_rank, window_offset, window_bytes,
                                  type, op, recv_mr, request);
}

}  // namespace

LH_NCCL_EXPORT const abi::CollNetV8 ncclCollNetPlugin_v8 = {
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
    .iallreduce = Iallreduce,
    .iallgather = Iallgather,
    .ireducescatter = Ireducescatter,
    .iflush = CollNet().iflush,
    .test = CollNet().test,
    .close_coll = CollNet().close_coll,
    .close_listen = CollNet().close_listen,
};

}  // namespace longhaul::nccl
