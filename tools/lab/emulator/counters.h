// What one direction of a link has done. Segments are counted as they would be
// on the wire, frames as the kernel hands them over.
// Thread-compatible.
#pragma once

#include <array>
#include <cstdint>

namespace longhaul::lab {

// How much later than due frames were written: the emulator's own error.
class Lateness {
 public:
  void Add(int64_t ns);
  double MeanMicroseconds() const;
  double MaxMicroseconds() const { return static_cast<double>(max_) / 1e3; }
  // Upper edge of the 10 us bin the quantile falls in; 10 ms is the last.
  double QuantileMicroseconds(double quantile) const;

 private:
  static constexpr int64_t kBinNs = 10'000;
  std::array<uint64_t, 1000> bins_{};
  uint64_t count_ = 0;
  double sum_ = 0;  // no instant is too late for it
  int64_t max_ = 0;
};

struct Counters {
  uint64_t in_frames = 0, in_segments = 0, in_bytes = 0;
  uint64_t out_frames = 0, out_segments = 0, out_bytes = 0;
  uint64_t lost = 0, tail_dropped = 0, down_dropped = 0;  // segments
  uint64_t no_memory = 0, write_errors = 0;               // segments
  uint64_t marked = 0, reordered = 0, duplicated = 0;     // segments
  uint64_t max_backlog = 0;                               // bytes
  Lateness lateness;
};

}  // namespace longhaul::lab
