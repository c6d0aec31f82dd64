// What one direction of a link is like, and the `key=value` language that says
// so. Words that make no sense throw std::invalid_argument.
// Thread-compatible.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace longhaul::lab {

double ParseRate(std::string_view text);  // "1gbit" in bit/s
double ParseTime(std::string_view text);  // "25ms" in nanoseconds
double ParseSize(std::string_view text);  // "1mb" in bytes
double ParsePart(std::string_view text);  // "1%" or "0.01" in 0..1

// The length of a queue: bytes, a time at the link's rate, or a multiple of the
// bandwidth-delay product (rate x 2 delay).
struct QueueLength {
  enum class Unit { kBytes, kTime, kBdp };
  Unit unit = Unit::kBdp;
  double value = 1;

  static QueueLength Parse(std::string_view text);
  // `rate` in bit/s, `delay` in ns. A multiple of the product is never less
  // than 150 kB, a hundred full packets.
  double Bytes(double rate, double delay) const;
};

// Times are nanoseconds, probabilities are per segment.
struct Settings {
  bool up = true;
  double rate = 0;        // bit/s of IP packets plus `overhead`; 0: no limit
  double overhead = 0;    // bytes per segment (38: Ethernet on the wire)
  double delay = 0;       // one way
  double jitter = 0;      // standard deviation, clipped at 3; order is kept
  double quantum = 1e5;   // longest serialization time of a delivered piece
  QueueLength queue;      // drop tail
  bool ecn = false;       // mark ECN-capable packets ...
  QueueLength ecn_above;  // ... that meet a longer queue than this
  // Gilbert-Elliott: chances of going bad and good, of loss while bad and good.
  double go_bad = 0, go_good = 1, loss_bad = 1, loss_good = 0;
  double loss = 0, burst = 0;  // as said; they become the four above
  double reorder = 0;          // this part of segments ...
  double late = 1e6;           // ... arrives that much later
  double duplicate = 0;

  double QueueBytes() const { return queue.Bytes(rate, delay); }
  double EcnBytes() const { return ecn_above.Bytes(rate, delay); }

  // One assignment ("rate=1gbit") or word ("up", "down"); a refused one may
  // leave *this half changed.
  void Apply(std::string_view token);

 private:
  bool ApplyShape(std::string_view key, std::string_view value);
  bool ApplyFaults(std::string_view key, std::string_view value);
  void SetLoss();
  void SetGilbertElliott(std::string_view value);
};

// Applies words, each one or more tokens with commas between, to both
// directions of a link, or to the one named by "ab." or "ba." before a token.
// All or nothing: a wrong token changes neither.
void ApplyWords(std::span<const std::string> words, Settings& ab, Settings& ba);

}  // namespace longhaul::lab
