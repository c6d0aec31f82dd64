#include "tables/net_table.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <type_traits>

#include "abi/net_v10.h"
#include "abi/net_v11.h"
#include "abi/net_v8.h"
#include "abi/net_v9.h"
#include "tables/widen.h"

namespace longhaul::nccl {
namespace {

using abi::ResultCode;

template <int kVersion>
struct Types;
template <>
struct Types<8> {
  using Table = abi::NetV8;
  using Properties = abi::PropertiesV8;
};
template <>
struct Types<9> {
  using Table = abi::NetV9;
  using Properties = abi::PropertiesV9;
};
template <>
struct Types<10> {
  using Table = abi::NetV10;
  using Properties = abi::PropertiesV10;
};
template <>
struct Types<11> {
  using Table = abi::NetV11;
  using Properties = abi::PropertiesV11;
};
template <>
struct Types<12> {
  using Table = abi::NetV12;
  using Properties = abi::PropertiesV12;
};

template <int kVersion>
class NetTableOf final : public NetTable {
 public:
  using Table = typename Types<kVersion>::Table;
  using Properties = typename Types<kVersion>::Properties;

  explicit NetTableOf(const void* table)
      : table_(*static_cast<const Table*>(table)) {}

  int version() const override { return kVersion; }
  const char* name() const override { return table_.name; }
  bool whole() const override { return EveryPointerSet(table_); }

  ResultCode Init(void** context, uint64_t comm_id, abi::LogFn log) override {
    if constexpr (kVersion >= 11) {
      abi::CommConfig config{-1};
      return table_.init(context, comm_id, &config, log, nullptr);
    } else if constexpr (kVersion == 10) {
      return table_.init(log, nullptr);
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

  ResultCode Connect(void* context, int device, void* handle,
                     void** send_comm) override {
    abi::NetDeviceHandle* device_comm = nullptr;
    if constexpr (kVersion >= 11) {
      return table_.connect(context, device, handle, send_comm, &device_comm);
    } else if constexpr (kVersion == 10) {
      abi::CommConfig config{-1};
      return table_.connect(device, &config, handle, send_comm, &device_comm);
    } else {
      return table_.connect(device, handle, send_comm, &device_comm);
    }
  }

  ResultCode Accept(void* listen_comm, void** recv_comm) override {
    abi::NetDeviceHandle* device_comm = nullptr;
    return table_.accept(listen_comm, recv_comm, &device_comm);
  }

  ResultCode RegMr(void* comm, void* data, size_t size, int type,
                   void** mr) override {
    return table_.reg_mr(comm, data, size, type, mr);
  }
  ResultCode DeregMr(void* comm, void* mr) override {
    return table_.dereg_mr(comm, mr);
  }

  ResultCode Isend(void* send_comm, void* data, size_t size, int tag, void* mr,
                   void** request) override {
    if constexpr (kVersion >= 10) {
      return table_.isend(send_comm, data, size, tag, mr, nullptr, request);
    } else {
      using Size = std::conditional_t<kVersion == 8, int, size_t>;
      return table_.isend(send_comm, data, static_cast<Size>(size), tag, mr,
                          request);
    }
  }

  ResultCode Irecv(void* recv_comm, void* data, size_t size, int tag, void* mr,
                   void** request) override {
    using Size = std::conditional_t<kVersion == 8, int, size_t>;
    auto own = static_cast<Size>(size);
    if constexpr (kVersion >= 10) {
      void* profiler = nullptr;
      return table_.irecv(recv_comm, 1, &data, &own, &tag, &mr, &profiler,
                          request);
    } else {
      return table_.irecv(recv_comm, 1, &data, &own, &tag, &mr, request);
    }
  }

  ResultCode Iflush(void* recv_comm, void* data, int size, void* mr,
                    void** request) override {
    if (table_.iflush == nullptr) {
      *request = nullptr;
      return ResultCode::kSuccess;
    }
    return table_.iflush(recv_comm, 1, &data, &size, &mr, request);
  }

  ResultCode Test(void* request, int* done, int* size) override {
    if (!size) return table_.test(request, done, nullptr);
    // NCCL's array: one size per grouped receive, 8 at most.
    std::array<int, 8> sizes{};
    const ResultCode code = table_.test(request, done, sizes.data());
    *size = sizes[0];
    return code;
  }

  ResultCode CloseSend(void* comm) override { return table_.close_send(comm); }
  ResultCode CloseRecv(void* comm) override { return table_.close_recv(comm); }
  ResultCode CloseListen(void* comm) override {
    return table_.close_listen(comm);
  }

  ResultCode Finalize(void* context) override {
    if constexpr (kVersion >= 11) return table_.finalize(context);
    return ResultCode::kSuccess;
  }

 private:
  const Table table_;  // NCCL copies it too
};

}  // namespace

std::unique_ptr<NetTable> FindNet(const Library& library, int version) {
  const void* table = library.Find("ncclNetPlugin_v" + std::to_string(version));
  if (!table) return nullptr;
  switch (version) {
    case 8:
      return std::make_unique<NetTableOf<8>>(table);
    case 9:
      return std::make_unique<NetTableOf<9>>(table);
    case 10:
      return std::make_unique<NetTableOf<10>>(table);
    case 11:
      return std::make_unique<NetTableOf<11>>(table);
    case 12:
      return std::make_unique<NetTableOf<12>>(table);
    default:
      return nullptr;
  }
}

std::unique_ptr<NetTable> FindNewestNet(const Library& library) {
  for (int version = kNewestNet; version >= kOldestNet; --version) {
    if (auto net = FindNet(library, version)) return net;
  }
  return nullptr;
}

}  // namespace longhaul::nccl
