// What every version of NCCL's plugin interface shares: result codes, element
// types, reductions, the logger, and a few limits. Own declarations with NCCL's
// values and layout.
//
// The tables of functions (net_vN.h, collnet_vN.h, tuner_vN.h) have noexcept
// pointers: a function that may throw does not fit, so nothing is thrown across
// the border.
//
// Plain values.
#pragma once

#include <cstddef>
#include <cstdint>

// NOLINTNEXTLINE(google-runtime-int): NCCL's own words
static_assert(sizeof(void*) == 8 && sizeof(long) == 8 && sizeof(int) == 4,
              "The layouts here are those of LP64");

namespace longhaul::nccl::abi {

enum class ResultCode : int {
  kSuccess = 0,
  kUnhandledCudaError = 1,
  kSystemError = 2,  ///< something local failed
  kInternalError = 3,
  kInvalidArgument = 4,
  kInvalidUsage = 5,
  kRemoteError = 6,  ///< the peer is gone
  kInProgress = 7,
};

enum class TypeCode : int {
  kInt8 = 0,
  kUint8 = 1,
  kInt32 = 2,
  kUint32 = 3,
  kInt64 = 4,
  kUint64 = 5,
  kFloat16 = 6,
  kFloat32 = 7,
  kFloat64 = 8,
  kBfloat16 = 9,
  kFloat8e4m3 = 10,
  kFloat8e5m2 = 11,
};
inline constexpr int kTypeCodes = 12;

enum class OpCode : int {
  kSum = 0,
  kProd = 1,
  kMax = 2,
  kMin = 3,
  kAvg = 4,
};

/// What a tuner is asked about.
enum class FuncCode : int {
  kBroadcast = 0,
  kReduce = 1,
  kAllGather = 2,
  kReduceScatter = 3,
  kAllReduce = 4,
};

/// Kinds of memory, as reg_mr() and Properties::ptr_support name them.
inline constexpr int kPtrHost = 1;
inline constexpr int kPtrCuda = 2;
inline constexpr int kPtrDmabuf = 4;

/// Bytes of a connection handle, all ours.
inline constexpr size_t kHandleBytes = 128;
/// Requests NCCL may have outstanding per comm object and direction.
inline constexpr int kMaxRequests = 32;
/// The most that Properties::max_p2p_bytes and max_coll_bytes may say.
inline constexpr size_t kMaxNetBytes = size_t{1} << 40;
/// The value *request may have when irecv() is called, v9 and later:
/// "completion is optional". A hint; *request must be overwritten all the same.
inline constexpr uintptr_t kOptionalRecvCompletion = 1;

enum class LogLevel : int {
  kNone = 0,
  kVersion = 1,
  kWarn = 2,
  kInfo = 3,
  kAbort = 4,
  kTrace = 5,
};
inline constexpr uint64_t kLogInit = 0x1;
inline constexpr uint64_t kLogNet = 0x10;
inline constexpr uint64_t kLogTuning = 0x40;
inline constexpr uint64_t kLogEnv = 0x80;

/// NCCL's log; may be null when others than NCCL load the plugin.
using LogFn = void (*)(LogLevel level, uint64_t flags, const char* file,
                       int line, const char* format, ...);

/// NCCL's profiler, v10 and later; may be null.
using ProfilerFn = ResultCode (*)(void** event, int type, void* parent,
                                  int64_t plugin_id, void* data);

/// Device offload of a connection; never filled in here.
struct NetDeviceHandle {
  int type;
  int version;
  void* handle;
  size_t size;
  int needs_proxy_progress;
};
static_assert(offsetof(NetDeviceHandle, handle) == 8);
static_assert(offsetof(NetDeviceHandle, size) == 16);
static_assert(offsetof(NetDeviceHandle, needs_proxy_progress) == 24);
static_assert(sizeof(NetDeviceHandle) == 32);

}  // namespace longhaul::nccl::abi
