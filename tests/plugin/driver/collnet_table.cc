#include "plugin/driver/collnet_table.h"

#include <string>
#include <type_traits>

#include "abi/collnet_v10.h"
#include "abi/collnet_v11.h"
#include "abi/collnet_v8.h"
#include "tables/widen.h"

namespace longhaul::nccl {
namespace {

using abi::ResultCode;

template <int kVersion>
struct Types;
template <>
struct Types<8> {
  using Table = abi::CollNetV8;
  using Properties = abi::PropertiesV8;
  using Piece = abi::PieceV8;
};
template <>
struct Types<9> {
  using Table = abi::CollNetV9;
  using Properties = abi::PropertiesV9;
  using Piece = abi::PieceV9;
};
template <>
struct Types<10> {
  using Table = abi::CollNetV10;
  using Properties = abi::PropertiesV10;
  using Piece = abi::PieceV10;
};
template <>
struct Types<11> {
  using Table = abi::CollNetV11;
  using Properties = abi::PropertiesV11;
  using Piece = abi::PieceV11;
};
template <>
struct Types<12> {
  using Table = abi::CollNetV12;
  using Properties = abi::PropertiesV12;
  using Piece = abi::PieceV12;
};

template <int kVersion>
class CollNetTableOf final : public CollNetTable {
 public:
  using Table = typename Types<kVersion>::Table;
  using Properties = typename Types<kVersion>::Properties;
  using Piece = typename Types<kVersion>::Piece;
  using PieceSize = decltype(Piece::size);

  explicit CollNetTableOf(const void* table)
      : table_(*static_cast<const Table*>(table)) {}

  int version() const override { return kVersion; }
  const char* name() const override { return table_.name; }
  bool whole() const override { return EveryPointerSet(table_); }

  ResultCode Init(void** context, uint64_t comm_id, abi::LogFn log) override {
    if constexpr (kVersion >= 11) {
      return table_.init(context, comm_id, log);
    } else {
      return table_.init(log);
    }
  }

  ResultCode Devices(int* count) override { return table_.devices(count); }

  ResultCode GetProperties(int device,
                           abi::PropertiesV12* properties) override {
    Properties own{};
    const ResultCode code = table_.get_properties(device, &own);
    WidenTo(own, properties);
    return code;
  }

  ResultCode Listen(void* context, int device, void* handle,
                    void** listen_comm) override {
    if constexpr (kVersion >= 11) {
      return table_.listen(context, device, handle, listen_comm);
    } else {
      return table_.listen(device, handle, listen_comm);
    }
  }

  ResultCode Connect(std::span<void*> handles, int rank, void* listen_comm,
                     void** coll_comm) override {
    return table_.connect(handles.data(), static_cast<int>(handles.size()),
                          rank, listen_comm, coll_comm);
  }

  ResultCode ReduceSupport(abi::TypeCode type, abi::OpCode op,
                           int* supported) override {
    return table_.reduce_support(type, op, supported);
  }

  ResultCode RegMr(void* comm, void* data, size_t size, int type,
                   void** mr) override {
    return table_.reg_mr(comm, data, size, type, mr);
  }
  ResultCode DeregMr(void* comm, void* mr) override {
    return table_.dereg_mr(comm, mr);
  }

  ResultCode Iallreduce(void* comm, void* send, void* recv, size_t count,
                        abi::TypeCode type, abi::OpCode op, void* send_mr,
                        void* recv_mr, void** request) override {
    using Count = std::conditional_t<kVersion == 8, int, size_t>;
    return table_.iallreduce(comm, send, recv, static_cast<Count>(count), type,
                             op, send_mr, recv_mr, request);
  }

  ResultCode Iallgather(void* comm, void* send, void* recv,
                        const Window& window, void* send_mr, void* recv_mr,
                        void** request) override {
    Piece piece{recv_mr, recv, static_cast<PieceSize>(window.bytes)};
    return table_.iallgather(comm, send, 1, &piece, window.bytes_per_rank,
                             window.offset, window.bytes, send_mr, request);
  }

  ResultCode Ireducescatter(void* comm, void* send, void* recv,
                            const Window& window, abi::TypeCode type,
                            abi::OpCode op, void* send_mr, void* recv_mr,
                            void** request) override {
    Piece piece{send_mr, send, static_cast<PieceSize>(window.bytes)};
    return table_.ireducescatter(comm, 1, &piece, recv, window.bytes_per_rank,
                                 window.offset, window.bytes, type, op, recv_mr,
                                 request);
  }

  ResultCode Iflush(void* comm, void* data, int size, void* mr,
                    void** request) override {
    return table_.iflush(comm, data, size, mr, request);
  }
  ResultCode Test(void* request, int* done, int* size) override {
    return table_.test(request, done, size);
  }
  ResultCode CloseColl(void* comm) override { return table_.close_coll(comm); }
  ResultCode CloseListen(void* comm) override {
    return table_.close_listen(comm);
  }

  ResultCode Finalize(void* context) override {
    if constexpr (kVersion >= 11) return table_.finalize(context);
    return ResultCode::kSuccess;
  }

 private:
  const Table table_;
};

}  // namespace

std::unique_ptr<CollNetTable> FindCollNet(const Library& library, int version) {
  const void* table =
      library.Find("ncclCollNetPlugin_v" + std::to_string(version));
  if (!table) return nullptr;
  switch (version) {
    case 8:
      return std::make_unique<CollNetTableOf<8>>(table);
    case 9:
      return std::make_unique<CollNetTableOf<9>>(table);
    case 10:
      return std::make_unique<CollNetTableOf<10>>(table);
    case 11:
      return std::make_unique<CollNetTableOf<11>>(table);
    case 12:
      return std::make_unique<CollNetTableOf<12>>(table);
    default:
      return nullptr;
  }
}

}  // namespace longhaul::nccl
