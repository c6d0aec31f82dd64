// What is measured: something that reduces over ranks. The harness times it,
// checks its results, and uses it to gather what the ranks saw.
//
// Thread-compatible: one thread per rank.
#pragma once

#include <longhaul/status.h>
#include <longhaul/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"

namespace longhaul::bench {

/// What crossed the WAN, of this rank's process, since the start.
struct WanTraffic {
  uint64_t sent = 0;         ///< bytes, headers included
  uint64_t resent = 0;       ///< bytes of messages, sent a second time
  uint64_t retransmits = 0;  ///< packets, by the transport
  uint64_t flows = 0;
  uint64_t credit_waits = 0;
  /// Bytes by the path's place among those to its peer; those behind the last
  /// place count there.
  static constexpr size_t kPaths = 16;
  std::array<uint64_t, kPaths> path_sent{};
};

/// One path of this rank's process to one in another site, since the start. The
/// same bytes on all ranks that run one build.
struct PathFacts {
  int32_t rank = 0;
  int32_t peer = 0;    ///< the lowest rank of that process
  char name[64] = {};  ///< "10.0.0.1 -> 10.0.1.7"; never empty
  char state[8] = {};  ///< "up", "silent", "down"
  uint64_t flows = 0;
  uint64_t bytes_sent = 0;
  uint64_t bytes_received = 0;
  uint64_t payload_sent = 0;
  uint64_t payload_restriped = 0;
  uint64_t retransmits = 0;
  uint64_t failures = 0;
  uint64_t credit_waits = 0;  ///< of the connection, which all its paths share
  double goodput = 0;         ///< bytes/s
  double rate_limit = 0;      ///< bytes/s; 0: none
  Duration rtt = 0;
  Duration min_rtt = 0;
};

/// What this rank has done with a codec, since the start.
struct CodecFacts {
  std::string codec;
  uint64_t operations = 0;
  uint64_t plain_bytes = 0;  ///< of what it encoded
  uint64_t coded_bytes = 0;  ///< of the codes
  double encode_seconds = 0;
  double decode_seconds = 0;
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
  /// How far elements may be off, as a share of the largest; 0: not a bit. They
  /// are the same on all ranks whatever it is.
  virtual double Tolerance(DataType /*type*/, ReduceOp /*op*/) const {
    return 0;
  }
  virtual std::optional<WanTraffic> Traffic() const { return std::nullopt; }
  /// Of this rank's process, by peer and place; none if it cannot tell.
  virtual std::vector<PathFacts> Paths() const { return {}; }
  /// Of those that this rank may use.
  virtual std::vector<CodecFacts> Codecs() const { return {}; }
};

}  // namespace longhaul::bench
