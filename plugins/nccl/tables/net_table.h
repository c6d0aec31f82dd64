// ncclNetPlugin_vN of any version behind one interface, that of the newest.
//
// A version that has no contexts gets none; sizes are narrowed to what the
// version has.
//
// Any thread, as the plugin permits.
#pragma once

#include <cstdint>
#include <memory>

#include "abi/net_v12.h"
#include "tables/library.h"

namespace longhaul::nccl {

inline constexpr int kOldestNet = 8;
inline constexpr int kNewestNet = 12;

class NetTable {
 public:
  virtual ~NetTable() = default;

  virtual int version() const = 0;
  virtual const char* name() const = 0;
  /// False if a function is missing.
  virtual bool whole() const = 0;

  virtual abi::ResultCode Init(void** context, uint64_t comm_id,
                               abi::LogFn log) = 0;
  virtual abi::ResultCode Devices(int* count) = 0;
  /// What the version does not have stays as it was.
  virtual abi::ResultCode GetProperties(int device,
                                        abi::PropertiesV12* properties) = 0;
  virtual abi::ResultCode Listen(void* context, int device, void* handle,
                                 void** listen_comm) = 0;
  virtual abi::ResultCode Connect(void* context, int device, void* handle,
                                  void** send_comm) = 0;
  virtual abi::ResultCode Accept(void* listen_comm, void** recv_comm) = 0;
  virtual abi::ResultCode RegMr(void* comm, void* data, size_t size, int type,
                                void** mr) = 0;
  virtual abi::ResultCode DeregMr(void* comm, void* mr) = 0;
  virtual abi::ResultCode Isend(void* send_comm, void* data, size_t size,
                                int tag, void* mr, void** request) = 0;
  /// One receive. *request is handed on as it is.
  virtual abi::ResultCode Irecv(void* recv_comm, void* data, size_t size,
                                int tag, void* mr, void** request) = 0;
  /// *request null where the plugin has no flush: there is nothing to wait for.
  virtual abi::ResultCode Iflush(void* recv_comm, void* data, int size,
                                 void* mr, void** request) = 0;
  virtual abi::ResultCode Test(void* request, int* done, int* size) = 0;
  virtual abi::ResultCode CloseSend(void* send_comm) = 0;
  virtual abi::ResultCode CloseRecv(void* recv_comm) = 0;
  virtual abi::ResultCode CloseListen(void* listen_comm) = 0;
  /// Succeeds where the version has no such function.
  virtual abi::ResultCode Finalize(void* context) = 0;
};

/// Null if the library has no such version.
std::unique_ptr<NetTable> FindNet(const Library& library, int version);
/// The newest version that the library has; null if it has none.
std::unique_ptr<NetTable> FindNewestNet(const Library& library);

}  // namespace longhaul::nccl
