#include "lab/emulator/channel.h"

#include <algorithm>

namespace longhaul::lab {

Channel::Channel(bool ethernet, uint64_t memory, uint64_t seed)
    : ethernet_(ethernet), pool_(memory), dice_(seed) {}

double Channel::NsPerByte() const {
  return settings_.rate > 0 ? 8e9 / settings_.rate : 0;
}

double Channel::Backlog(int64_t now) const {
  if (settings_.rate <= 0) return 0;
  return std::max(0.0, (idle_at_ - static_cast<double>(now)) / NsPerByte());
}

void Channel::Configure(const Settings& next, int64_t now) {
  const double before = NsPerByte();
  settings_ = next;
  const double scale = before > 0 ? NsPerByte() / before : 1;
  if (scale != 1) Retime(scale, now);
  if (!settings_.up) DropAll();
}

void Channel::Retime(double scale, int64_t now) {
  const auto origin = static_cast<double>(now);
  const auto move = [&](Run& run) {
    if (run.sent <= now) return;
    const auto sent = static_cast<int64_t>(
        origin + (static_cast<double>(run.sent) - origin) * scale);
    run.due += sent - run.sent;
    run.sent = sent;
  };
  int64_t last = 0;
  for (Run& run : line_) {
    move(run);
    run.due = std::max(run.due, last);
    last = run.due;
  }
  std::multimap<int64_t, Run> moved;
  for (auto& [due, run] : overtaken_) {
    move(run);
    moved.emplace(run.due, run);
  }
  overtaken_.swap(moved);
  if (idle_at_ > origin) idle_at_ = origin + (idle_at_ - origin) * scale;
}

void Channel::DropAll() {
  while (Next() != nullptr) {
    const Run run = Pop();
    counters_.down_dropped += run.n;
    in_flight_ -=
        Frame(run.record, run.size, ethernet_).WireBytes(run.first, run.n);
    pool_.Unref(run.slab);
  }
  idle_at_ = 0;
}

void Channel::Accept(uint32_t size, int64_t now) {
  const uint8_t* const record = pool_.Room();
  const Frame frame(record, size, ethernet_);
  ++counters_.in_frames;
  counters_.in_segments += frame.segments();
  counters_.in_bytes += frame.WireBytes(0, frame.segments());
  if (!settings_.up) {
    counters_.down_dropped += frame.segments();
    return;
  }
  Run run;
  run.record = record;
  run.size = size;
  run.slab = pool_.Keep(size);
  Transmit(frame, run, now);
}

void Channel::Refuse(const uint8_t* record, uint32_t size) {
  const Frame frame(record, size, ethernet_);
  ++counters_.in_frames;
  counters_.in_segments += frame.segments();
  counters_.in_bytes += frame.WireBytes(0, frame.segments());
  counters_.no_memory += frame.segments();
}

void Channel::Transmit(const Frame& frame, Run run, int64_t now) {
  idle_at_ = std::max(idle_at_, static_cast<double>(now));
  double began = 0;
  for (uint32_t i = 0; i < frame.segments(); ++i) {
    const double start = idle_at_;
    const Fate fate = Decide(frame, i, now);
    if (!fate.arrives) continue;  // the gap ends the run
    const bool extends = run.n > 0 && run.first + run.n == i &&
                         run.mark == fate.mark && run.held == fate.held &&
                         idle_at_ - began <= settings_.quantum;
    if (!extends) {
      if (run.n > 0) Launch(frame, run);
      run.first = i;
      run.n = 0;
      run.mark = fate.mark;
      run.held = fate.held;
      began = start;
    }
    ++run.n;
    run.sent = static_cast<int64_t>(idle_at_);
  }
  if (run.n > 0) Launch(frame, run);
}

Channel::Fate Channel::Decide(const Frame& frame, uint32_t segment,
                              int64_t now) {
  Fate fate;
  const double bytes = frame.WireBytes(segment, 1) + settings_.overhead;
  if (settings_.rate > 0) {
    const double queued = Backlog(now);
    if (queued + bytes > settings_.QueueBytes()) {
      ++counters_.tail_dropped;
      return fate;
    }
    counters_.max_backlog =
        std::max(counters_.max_backlog, static_cast<uint64_t>(queued + bytes));
    fate.mark =
        settings_.ecn && frame.EcnCapable() && queued > settings_.EcnBytes();
    idle_at_ += bytes * NsPerByte();
  }
  if (Lose()) {  // on the line: it has used its share of the rate
    ++counters_.lost;
    return fate;
  }
  fate.arrives = true;
  fate.held = dice_.Chance(settings_.reorder);
  counters_.marked += fate.mark ? 1 : 0;
  counters_.reordered += fate.held ? 1 : 0;
  return fate;
}

bool Channel::Lose() {
  if (bad_) {
    bad_ = !dice_.Chance(settings_.go_good);
  } else {
    bad_ = dice_.Chance(settings_.go_bad);
  }
  return dice_.Chance(bad_ ? settings_.loss_bad : settings_.loss_good);
}

void Channel::Launch(const Frame& frame, Run run) {
  double wait = settings_.delay;
  if (settings_.jitter > 0) {
    const double normal = std::clamp(dice_.Normal(), -3.0, 3.0);
    wait = std::max(0.0, wait + settings_.jitter * normal);
  }
  run.due = run.sent + static_cast<int64_t>(wait);
  const bool twice = dice_.Chance(settings_.duplicate);
  if (twice) counters_.duplicated += run.n;
  for (int copy = 0; copy < (twice ? 2 : 1); ++copy) {
    pool_.Ref(run.slab);
    in_flight_ += frame.WireBytes(run.first, run.n);
    Enqueue(run);
  }
}

void Channel::Enqueue(Run run) {
  const int64_t last = line_.empty() ? 0 : line_.back().due;
  if (run.held) {
    run.due += static_cast<int64_t>(settings_.late);
    overtaken_.emplace(run.due, run);
  } else if (settings_.jitter > 0 || run.due >= last) {
    run.due = std::max(run.due, last);  // jitter keeps the order
    line_.push_back(run);
  } else {  // the delay was lowered: newer frames take the shorter way
    overtaken_.emplace(run.due, run);
  }
}

bool Channel::LineIsNext() const {
  if (overtaken_.empty()) return true;
  return !line_.empty() && line_.front().due <= overtaken_.begin()->first;
}

const Channel::Run* Channel::Next() const {
  if (line_.empty() && overtaken_.empty()) return nullptr;
  return LineIsNext() ? &line_.front() : &overtaken_.begin()->second;
}

int64_t Channel::NextDue() const {
  const Run* const run = Next();
  return run == nullptr ? kNever : run->due;
}

Channel::Run Channel::Pop() {
  if (LineIsNext()) {
    const Run run = line_.front();
    line_.pop_front();
    return run;
  }
  const Run run = overtaken_.begin()->second;
  overtaken_.erase(overtaken_.begin());
  return run;
}

bool Channel::TakeDue(int64_t now, Piece& piece) {
  if (NextDue() > now) return false;
  const Run head = Pop();
  counters_.lateness.Add(now - head.due);
  uint32_t n = head.n;
  // Neighbours of the same super-packet that are due too travel together again.
  for (const Run* next = Next();
       next != nullptr && next->due <= now && next->record == head.record &&
       next->first == head.first + n && next->mark == head.mark;
       next = Next()) {
    n += next->n;
    Pop();
    pool_.Unref(head.slab);
  }
  const Frame frame(head.record, head.size, ethernet_);
  frame.Cut(head.first, n, head.mark, piece.slice);
  piece.segments = n;
  piece.bytes = frame.WireBytes(head.first, n);
  piece.slab = head.slab;
  return true;
}

void Channel::Written(const Piece& piece, bool success) {
  if (success) {
    ++counters_.out_frames;
    counters_.out_segments += piece.segments;
    counters_.out_bytes += piece.bytes;
  } else {
    counters_.write_errors += piece.segments;
  }
  in_flight_ -= piece.bytes;
  pool_.Unref(piece.slab);
}

}  // namespace longhaul::lab
