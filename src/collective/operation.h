// One call of a collective: what was asked for, and the receipt for it. Lives
// in a table that the communicator and every outstanding Request hold, so that
// a Request may be dropped whenever its owner likes.
//
// Acquire: the issuing thread. Release, waiting: any thread. The fields that
// the runner uses: engine thread only, from posting to completion.
#pragma once

#include <longhaul/request.h>
#include <longhaul/status.h>
#include <longhaul/types.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/intrusive_list.h"
#include "base/time.h"
#include "collective/schedule.h"
#include "engine/command.h"
#include "transport/chunk.h"

namespace longhaul {

class OperationTable;
class ScheduleRunner;

/// What a caller asked for. All-gather and reduce-scatter are about a window of
/// `count` elements, from element `offset` of a vector of one block of `block`
/// elements per rank: output of the one and input of the other; the other side
/// is where this rank's block meets the window (BlockInWindow, pattern.h).
struct OperationCall {
  Collective collective = Collective::kAllReduce;
  DataType type = DataType::kInt8;
  ReduceOp op = ReduceOp::kSum;
  const uint8_t* input = nullptr;
  uint8_t* output = nullptr;
  uint64_t count = 0;
  uint64_t block = 0;
  uint64_t offset = 0;
  uint64_t tensor = 0;  ///< its name, for error feedback; 0: none
};

struct OperationListTag {};

class Operation final : public Command, public ListLink<OperationListTag> {
 public:
  OperationCall call;

  bool Done() const noexcept {
    return word_.load(std::memory_order_acquire) == kDone;
  }
  /// Valid once done.
  const Status& status() const { return status_; }
  /// Sleeps until done or `patience` is over; kNever: until done. False if it
  /// is not done.
  bool Wait(Duration patience);

  /// Engine thread: the last thing the runner does with it.
  void Complete(const Status& status);
  /// The holder lets go; done or, if never posted, unused.
  void Release();

 private:
  friend class OperationTable;
  static constexpr uint32_t kPending = 0;
  static constexpr uint32_t kAwaited = 1;  ///< pending, somebody sleeps
  static constexpr uint32_t kDone = 2;

  void Run(TimePoint now) override;

  std::atomic<uint32_t> word_{kPending};
  Status status_;
  OperationTable* table_ = nullptr;
  ScheduleRunner* runner_ = nullptr;
  std::atomic<bool> held_{false};
};

/// A fixed number of operations, reused.
class OperationTable {
 public:
  static constexpr size_t kSize = 256;

  /// Made with one hold, the maker's.
  explicit OperationTable(ScheduleRunner* runner);
  /// A free operation, pending; nullptr if all are held.
  Operation* Acquire();
  /// Gives back a hold; the last one destroys the table.
  void Drop();

 private:
  friend class Operation;
  ~OperationTable() = default;

  std::unique_ptr<Operation[]> operations_;
  size_t next_ = 0;
  std::atomic<size_t> holds_{1};
};

}  // namespace longhaul
