// What is measured: something that reduces over ranks. The harness times it,
// checks its results, and uses it to gather what the ranks saw.
//
// Thread-compatible: one thread per rank.
#pragma once

#include <longhaul/status.h>
#include <longhaul/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace longhaul::bench {

/// What crossed the WAN, of this rank's process, since the start.
struct WanTraffic {
  uint64_t sent = 0;         ///< bytes, headers included
  uint64_t resent = 0;       ///< bytes of messages, sent a second time
  uint64_t retransmits = 0;  ///< packets, by the transport
  uint64_t flows = 0;
  uint64_t credit_waits = 0;
};

class Subject {
 public:
  Subject() = default;
  virtual ~Subject() = default;
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual int site_count() const = 0;
  /// For the report: "site s0", ...
  virtual std::string Describe() const = 0;

  /// Begins an all-reduce; the buffers are lent until Finish.
  virtual Status Start(const void* input, void* output, size_t count,
                       DataType type, ReduceOp op) = 0;
  virtual Status StartBarrier() = 0;
  /// Waits for what was begun.
  virtual Status Finish() = 0;

  /// A small all-reduce of the harness's own, in place.
  virtual Status Combine(void* data, size_t count, DataType type, ReduceOp op) {
    const Status started = Start(data, data, count, type, op);
    const Status finished = Finish();
    return started.ok() ? finished : started;
  }
  /// Which algorithm a call uses, for the report; "" if it cannot be told.
  virtual std::string AlgorithmFor(size_t /*count*/, DataType /*type*/) const {
    return "";
  }
  virtual std::optional<WanTraffic> Traffic() const { return std::nullopt; }
};

}  // namespace longhaul::bench
