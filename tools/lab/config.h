// What one direction of a link is like, and the `key=value` language that says
// so.
#pragma once
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

namespace longhaul::lab {

using i64 = std::int64_t;

struct Quantity {
  double value = 0;
  std::string unit;
};

inline Quantity quantity(std::string_view s) {
  Quantity q;
  auto [end, err] = std::from_chars(s.data(), s.data() + s.size(), q.value);
  if (err != std::errc{})
    throw std::invalid_argument("not a number: " + std::string(s));
  q.unit.assign(end, s.data() + s.size());
  std::transform(q.unit.begin(), q.unit.end(), q.unit.begin(),
                 [](char c) { return static_cast<char>(std::tolower(c)); });
  return q;
}

inline double scaled(std::string_view s,
                     const std::map<std::string_view, double>& units) {
  const Quantity q = quantity(s);
  const auto it = units.find(q.unit);
  if (it == units.end())
    throw std::invalid_argument("unknown unit: " + std::string(s));
  return q.value * it->second;
}

inline const std::map<std::string_view, double> kRate{
    {"", 1}, {"bit", 1}, {"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}};
inline const std::map<std::string_view, double> kTime{
    {"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};  // to ns
inline const std::map<std::string_view, double> kSize{
    {"", 1},     {"b", 1},      {"kb", 1e3},      {"mb", 1e6},
    {"gb", 1e9}, {"kib", 1024}, {"mib", 1048576}, {"gib", 1073741824}};
inline const std::map<std::string_view, double> kPart{{"", 1}, {"%", 0.01}};

// A queue length: plain bytes, a time at the link's rate, or a multiple of the
// bandwidth-delay product.
struct Depth {
  enum Kind { bytes, time, bdp } kind = bdp;
  double value = 1;

  static Depth parse(std::string_view s) {
    if (s.ends_with("bdp")) return {bdp, s.size() > 3 ? quantity(s).value : 1};
    if (s.ends_with('s')) return {time, scaled(s, kTime)};
    return {bytes, scaled(s, kSize)};
  }
  double resolve(double rate, double delay_ns) const {
    switch (kind) {
      case bytes:
        return value;
      case time:
        return rate / 8e9 * value;
      case bdp:
        break;
    }
    return std::max(150e3, value * rate / 8e9 * 2 *
                               delay_ns);  // never less than 100 full packets
  }
};

struct Config {
  bool up = true;
  double rate = 0;  // bit/s of IP packets plus `overhead`; 0: no limit
  double overhead =
      0;  // bytes added to every segment (38 for Ethernet on the wire)
  double delay = 0;      // ns, one way
  double jitter = 0;     // ns, standard deviation (clipped at 3); order is kept
  double quantum = 1e5;  // ns: a super-packet is cut in pieces of at most this
                         // serialization time
  Depth queue;
  bool ecn = false;
  Depth ecn_at;  // mark ECN-capable packets that meet a backlog above this
  // Gilbert-Elliott: per segment, P(good->bad), P(bad->good), loss in bad, loss
  // in good.
  double ge_p = 0, ge_r = 1, ge_bad = 1, ge_good = 0;
  double loss = 0, burst = 0;
  double reorder = 0, late = 1e6;  // this part of segments arrives `late` ns
                                   // later and may be overtaken
  double dup = 0;

  double queue_bytes() const { return queue.resolve(rate, delay); }
  double ecn_bytes() const { return ecn_at.resolve(rate, delay); }

  // One assignment ("rate=1gbit") or word ("up", "down").
  void set(std::string_view token) {
    const auto eq = token.find('=');
    const std::string_view key = token.substr(0, eq),
                           v = eq == token.npos ? "" : token.substr(eq + 1);
    if (key == "up")
      up = true;
    else if (key == "down")
      up = false;
    else if (key == "rate")
      rate = v == "none" ? 0 : scaled(v, kRate);
    else if (key == "overhead")
      overhead = scaled(v, kSize);
    else if (key == "delay")
      delay = scaled(v, kTime);
    else if (key == "jitter")
      jitter = scaled(v, kTime);
    else if (key == "quantum")
      quantum = scaled(v, kTime);
    else if (key == "queue")
      queue = Depth::parse(v);
    else if (key == "ecn")
      ecn = v != "off", ecn_at = ecn ? Depth::parse(v) : ecn_at;
    else if (key == "loss")
      loss = scaled(v, kPart), losses();
    else if (key == "burst")
      burst = scaled(v, kPart), losses();
    else if (key == "ge")
      gilbert_elliott(v);
    else if (key == "reorder")
      reorder = scaled(v, kPart);
    else if (key == "late")
      late = scaled(v, kTime);
    else if (key == "dup")
      dup = scaled(v, kPart);
    else
      throw std::invalid_argument("unknown setting: " + std::string(token));
    if (rate < 0 || delay < 0 || jitter < 0 || late < 0)
      throw std::invalid_argument("negative: " + std::string(token));
  }

 private:
  // loss=P alone is independent loss; with burst=L (> 1), bursts of mean length
  // L that add up to P.
  void losses() {
    ge_bad = 1;
    if (burst > 1 && loss < 1)
      ge_r = 1 / burst, ge_p = loss * ge_r / (1 - loss), ge_good = 0;
    else
      ge_r = 1, ge_p = 0, ge_good = loss;
  }
  void gilbert_elliott(std::string_view v) {  // p/r/loss-in-bad/loss-in-good
    double* const part[] = {&ge_p, &ge_r, &ge_bad, &ge_good};
    for (double* x : part) {
      const auto slash = v.find('/');
      *x = scaled(v.substr(0, slash), kPart);
      if (slash == v.npos) return;
      v.remove_prefix(slash + 1);
    }
  }
};

}  // namespace longhaul::lab
