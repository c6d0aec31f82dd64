// NCCL's network proxies, as far as a plugin sees them: a FIFO of 8 slots, the
// same call again after a null request, test() of the oldest request only, and
// a slot that is written anew as soon as its send is done.
//
// Drive one by calling Step() until done(). Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "tables/net_table.h"

namespace longhaul::nccl {

inline constexpr size_t kSlots = 8;

/// Message `index` of a stream, to be written or compared by the caller.
using SlotFn = std::function<void(size_t index, std::span<std::byte> slot)>;

/// Whether the bytes of slots that nobody may rely on are overwritten: sent
/// ones once they are sent, received ones before the receive is posted.
enum class Scribble { kAlways, kNever };

/// Sends messages of the sizes given.
class SendProxy {
 public:
  /// `fill` writes a message before it is sent. Slots are as large as the
  /// largest message.
  SendProxy(NetTable* net, void* comm, std::vector<size_t> sizes, SlotFn fill,
            Scribble scribble = Scribble::kAlways);
  ~SendProxy();
  SendProxy(const SendProxy&) = delete;
  SendProxy& operator=(const SendProxy&) = delete;

  /// One pass. Anything but kSuccess is the plugin's fault, and final.
  abi::ResultCode Step();
  bool done() const { return done_ == sizes_.size(); }
  /// Messages that the plugin says are sent.
  size_t sent() const { return done_; }

 private:
  abi::ResultCode Post();
  abi::ResultCode TestOldest();
  std::span<std::byte> Slot(size_t index);

  NetTable* net_;
  void* comm_;
  std::vector<size_t> sizes_;
  SlotFn fill_;
  Scribble scribble_;
  size_t slot_bytes_;
  std::vector<std::byte> memory_;
  void* mr_ = nullptr;
  std::array<void*, kSlots> requests_{};
  size_t filled_ = 0;
  size_t posted_ = 0;
  size_t done_ = 0;
};

/// Receives as many messages as it is given sizes, into slots of `slot_bytes`.
class RecvProxy {
 public:
  /// `check` sees a message when it has arrived, with the size told by test()
  /// (or, every third message, for which no size is asked, the size given).
  /// Every other receive carries the hint that completion is optional, where
  /// the version has it.
  RecvProxy(NetTable* net, void* comm, std::vector<size_t> sizes,
            size_t slot_bytes, SlotFn check,
            Scribble scribble = Scribble::kAlways);
  ~RecvProxy();
  RecvProxy(const RecvProxy&) = delete;
  RecvProxy& operator=(const RecvProxy&) = delete;

  abi::ResultCode Step();
  bool done() const { return done_ == sizes_.size(); }

 private:
  abi::ResultCode Post();
  abi::ResultCode TestOldest();
  std::byte* Slot(size_t index);

  NetTable* net_;
  void* comm_;
  std::vector<size_t> sizes_;
  SlotFn check_;
  Scribble scribble_;
  size_t slot_bytes_;
  std::vector<std::byte> memory_;
  void* mr_ = nullptr;
  std::array<void*, kSlots> requests_{};
  size_t posted_ = 0;
  size_t done_ = 0;
};

}  // namespace longhaul::nccl
