// One direction of the link: rate, queue, delay line, impairments.
//
// The transmitter is a virtual clock. `free_` is when it will have sent all it
// has accepted; the queue is then (free_ - now) x rate bytes long and needs no
// events of its own. Every decision about a segment -- tail drop, loss, mark,
// delivery time -- is made when it arrives; what remains is to write it out
// when due.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <limits>
#include <memory>
#include <queue>
#include <vector>

#include "config.h"
#include "frame.h"

namespace longhaul::lab {

inline constexpr i64 kNever = std::numeric_limits<i64>::max();

class Rng {  // xorshift64*; good enough for dice, and cheap
 public:
  explicit Rng(u64 seed) : s_(seed * 0x9e3779b97f4a7c15ULL | 1) {}
  double uniform() {
    s_ ^= s_ >> 12, s_ ^= s_ << 25, s_ ^= s_ >> 27;
    return static_cast<double>((s_ * 0x2545f4914f6cdd1dULL) >> 11) * 0x1p-53;
  }
  bool chance(double p) { return p > 0 && uniform() < p; }
  double normal() {
    return std::sqrt(-2 * std::log(1 - uniform())) *
           std::cos(2 * M_PI * uniform());
  }

 private:
  u64 s_;
};

// Frames live in slabs from reading to writing; a slab is reused (most recent
// first: warm) once none is left in it.
struct Slab {
  static constexpr u32 kSize = 2u << 20;
  u8* base;
  u32 used = 0;
  u32 refs = 0;
};

class Pool {
 public:
  explicit Pool(u64 limit) : limit_(limit / Slab::kSize) {}

  // Room for one frame, or null when the limit is reached.
  u8* room() {
    if (current_ && current_->used + kMaxFrame <= Slab::kSize)
      return current_->base + current_->used;
    if (current_) {
      Slab* old = current_;
      current_ = nullptr;
      unref(old);
    }
    if (!idle_.empty()) {
      current_ = idle_.back(), idle_.pop_back();
    } else {
      if (slabs_.size() >= limit_) return nullptr;
      void* m = ::mmap(nullptr, Slab::kSize, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (m == MAP_FAILED) return nullptr;
      slabs_.push_back(std::make_unique<Slab>(Slab{static_cast<u8*>(m)}));
      current_ = slabs_.back().get();
    }
    current_->used = 0, current_->refs = 1;
    return current_->base;
  }
  Slab* keep(u32 len) {  // the frame just read into room() stays
    current_->used += (len + 63) & ~63u;
    return current_;
  }
  void unref(Slab* s) {
    if (--s->refs == 0) idle_.push_back(s);
  }

 private:
  u64 limit_;
  Slab* current_ = nullptr;
  std::vector<std::unique_ptr<Slab>> slabs_;
  std::vector<Slab*> idle_;
};

struct Stats {
  u64 in_frames = 0, in_segs = 0, in_bytes = 0;
  u64 out_frames = 0, out_segs = 0, out_bytes = 0;
  u64 lost = 0, tail_dropped = 0, down_dropped = 0, no_memory = 0,
      write_errors = 0;
  u64 marked = 0, reordered = 0, duplicated = 0;
  u64 max_backlog = 0;
  // How much later than due frames were written, in 10 us bins: the emulator's
  // own error.
  std::array<u64, 1000> late{};
  i64 late_max = 0, late_sum = 0;

  void lateness(i64 ns) {
    ++late[std::min<u64>(static_cast<u64>(ns) / 10000, late.size() - 1)];
    late_max = std::max(late_max, ns), late_sum += ns;
  }
  double late_us(double quantile) const {
    u64 total = 0, seen = 0;
    for (u64 n : late) total += n;
    for (size_t i = 0; i < late.size(); ++i)
      if ((seen += late[i]) &&
          static_cast<double>(seen) >= quantile * static_cast<double>(total))
        return static_cast<double>(i + 1) * 10;
    return 0;
  }
};

class Channel {
 public:
  Channel(bool tap, u64 memory, u64 seed)
      : tap_(tap), pool_(memory), rng_(seed) {}

  const Config& config() const { return cfg_; }
  const Stats& stats() const { return st_; }
  void reset_stats() { st_ = {}; }
  double backlog(i64 now) const {
    return std::max(0.0, (free_ - static_cast<double>(now)) / ns_per_byte());
  }
  u64 in_flight() const { return in_flight_; }

  // Takes effect at once: what still waits in the queue leaves at the new rate;
  // what is already on the line arrives as it was going to; a link that goes
  // down loses both.
  void configure(const Config& next, i64 now) {
    const double before = ns_per_byte();
    cfg_ = next;
    const double scale = before > 0 ? ns_per_byte() / before : 1;
    if (scale != 1) retime(scale, now);
    if (!cfg_.up) {
      while (Run* r = first()) {
        st_.down_dropped += r->n;
        drop_first();
      }
      free_ = 0;
    }
  }

  // Reads frames from `fd` until it is empty or `budget` bytes were taken.
  void ingest(int fd, i64 budget, auto&& clock) {
    static u8 bin[kMaxFrame];
    while (budget > 0) {
      u8* at = pool_.room();
      const ssize_t n = ::read(fd, at ? at : bin, kMaxFrame);
      if (n <= static_cast<ssize_t>(kVnet)) return;
      budget -= n;
      const u32 len = static_cast<u32>(n);
      const Frame f(at ? at : bin, len, tap_);
      ++st_.in_frames, st_.in_segs += f.segments(),
          st_.in_bytes += f.wire(0, f.segments());
      if (!at)
        st_.no_memory += f.segments();
      else if (!cfg_.up)
        st_.down_dropped += f.segments();
      else
        accept(f, at, len, pool_.keep(len), clock());
    }
  }

  // Writes all that is due to `fd`, at most `budget` bytes; says when the next
  // is due.
  i64 deliver(int fd, i64 budget, auto&& clock) {
    Frame::Slice s;
    for (i64 now = clock(); Run* r = first(); now = clock()) {
      if (r->due > now || budget <= 0) return r->due;
      st_.lateness(now - r->due);
      const Run head = *r;
      u32 n = head.n;
      // Late already? Then neighbours of the same super-packet that are due too
      // travel together again.
      for (pop_first(); (r = first()) && r->due <= now && follows(*r, head, n);)
        n += r->n, pop_first(), pool_.unref(head.slab);
      const Frame f(head.record, head.len, tap_);
      f.slice(head.first, n, head.ce, s);
      const u32 bytes = f.wire(head.first, n);
      if (::writev(fd, s.iov.data(), s.count) < 0)
        st_.write_errors += n;
      else
        ++st_.out_frames, st_.out_segs += n, st_.out_bytes += bytes;
      budget -= bytes;
      in_flight_ -= bytes;
      pool_.unref(head.slab);
    }
    return kNever;
  }

 private:
  struct Run {      // consecutive segments [first, first + n) of one frame that
                    // share a fate
    i64 due, sent;  // arrival at the far end; end of serialization
    u8* record;
    Slab* slab;
    u32 len, first, n;
    bool ce, held;
  };
  struct Later {
    bool operator()(const Run& a, const Run& b) const { return a.due > b.due; }
  };

  double ns_per_byte() const { return cfg_.rate > 0 ? 8e9 / cfg_.rate : 0; }

  void accept(const Frame& f, u8* record, u32 len, Slab* slab, i64 now) {
    const double nspb = ns_per_byte(),
                 limit = nspb > 0 ? cfg_.queue_bytes() : 0,
                 mark_at = cfg_.ecn ? cfg_.ecn_bytes() : 0;
    const bool markable = cfg_.ecn && f.ect();
    Run run{};
    double began = 0;
    free_ = std::max(free_, static_cast<double>(now));
    for (u32 i = 0; i < f.segments(); ++i) {
      bool ce = false, held = false;
      const double bytes = f.wire(i, 1) + cfg_.overhead, start = free_;
      if (nspb > 0) {
        const double queued = (free_ - static_cast<double>(now)) / nspb;
        if (queued + bytes > limit) {
          ++st_.tail_dropped;
          continue;  // leaves a gap, so the next segment starts a new run
        }
        st_.max_backlog =
            std::max(st_.max_backlog, static_cast<u64>(queued + bytes));
        ce = markable && queued > mark_at;
        free_ += bytes * nspb;
      }
      if (lose()) {  // on the line: it has used its share of the rate
        ++st_.lost;
        continue;
      }
      held = rng_.chance(cfg_.reorder);
      st_.marked += ce, st_.reordered += held;
      const bool extend = run.n && run.first + run.n == i && run.ce == ce &&
                          run.held == held && free_ - began <= cfg_.quantum;
      if (!extend) {
        if (run.n) launch(f, run);
        run = {0, 0, record, slab, len, i, 0, ce, held};
        began = start;
      }
      ++run.n, run.sent = static_cast<i64>(free_);
    }
    if (run.n) launch(f, run);
  }

  bool lose() {
    if (cfg_.ge_p > 0 || bad_)
      bad_ = bad_ ? !rng_.chance(cfg_.ge_r) : rng_.chance(cfg_.ge_p);
    return rng_.chance(bad_ ? cfg_.ge_bad : cfg_.ge_good);
  }

  void launch(const Frame& f, Run run) {
    double wait = cfg_.delay;
    if (cfg_.jitter > 0)
      wait = std::max(
          0.0, wait + cfg_.jitter * std::clamp(rng_.normal(), -3.0, 3.0));
    run.due = run.sent + static_cast<i64>(wait);
    const int copies = 1 + rng_.chance(cfg_.dup);
    st_.duplicated += copies > 1 ? run.n : 0;
    for (int c = 0; c < copies; ++c) {
      ++run.slab->refs, in_flight_ += f.wire(run.first, run.n);
      if (run.held) {
        Run r = run;
        r.due += static_cast<i64>(cfg_.late);
        overtaken_.push(r);
      } else if (cfg_.jitter > 0 || line_.empty() ||
                 run.due >= line_.back().due) {
        if (!line_.empty())
          run.due =
              std::max(run.due, line_.back().due);  // jitter keeps the order
        line_.push_back(run);
      } else {
        overtaken_.push(
            run);  // the delay was lowered: newer frames take the shorter way
      }
    }
  }

  void retime(double scale, i64 now) {
    const auto t = static_cast<double>(now);
    const auto move = [&](Run& r) {
      if (r.sent <= now) return;
      const i64 sent =
          static_cast<i64>(t + (static_cast<double>(r.sent) - t) * scale);
      r.due += sent - r.sent, r.sent = sent;
    };
    i64 last = 0;
    for (Run& r : line_) move(r), last = r.due = std::max(r.due, last);
    decltype(overtaken_) again;
    for (; !overtaken_.empty(); overtaken_.pop()) {
      Run r = overtaken_.top();
      move(r), again.push(r);
    }
    overtaken_.swap(again);
    if (free_ > t) free_ = t + (free_ - t) * scale;
  }

  bool from_line() const {
    return overtaken_.empty() ||
           (!line_.empty() && line_.front().due <= overtaken_.top().due);
  }
  Run* first() {
    if (line_.empty() && overtaken_.empty()) return nullptr;
    return from_line() ? &line_.front() : const_cast<Run*>(&overtaken_.top());
  }
  void pop_first() { from_line() ? line_.pop_front() : overtaken_.pop(); }
  void drop_first() {
    const Run r = *first();
    in_flight_ -= Frame(r.record, r.len, tap_).wire(r.first, r.n);
    pool_.unref(r.slab);
    pop_first();
  }
  static bool follows(const Run& r, const Run& head, u32 n) {
    return r.record == head.record && r.first == head.first + n &&
           r.ce == head.ce;
  }

  bool tap_;
  Config cfg_;
  Stats st_;
  Pool pool_;
  Rng rng_;
  double free_ = 0;  // ns
  bool bad_ = false;
  u64 in_flight_ = 0;
  std::deque<Run> line_;  // by due time, as they come
  std::priority_queue<Run, std::vector<Run>, Later> overtaken_;
};

}  // namespace longhaul::lab
