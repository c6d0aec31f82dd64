#include "harness/measure.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/clock.h"
#include "base/fnv1a.h"
#include "base/text.h"

namespace longhaul::bench {
namespace {

constexpr int kPoison = 0xA5;
constexpr size_t kAlignment = 4096;

double Seconds(TimePoint time) { return static_cast<double>(time) / kSecond; }
double Microseconds(Duration time) { return static_cast<double>(time) / 1e3; }

double Mean(const std::vector<double>& values) {
  if (values.empty()) return 0;
  return std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(values.size());
}

constexpr size_t kSums = 6;  // behind them what each path has sent

WanPerOperation PerOperation(const std::vector<double>& sums,
                             double operations) {
  WanPerOperation wan;
  wan.sent = sums[0] / operations;
  wan.resent = sums[1] / operations;
  wan.retransmits = sums[2] / operations;
  wan.credit_waits = sums[3] / operations;
  wan.flows = sums[5] > 0 ? sums[4] / sums[5] : 0;
  for (size_t i = kSums; i < sums.size(); ++i) {
    wan.path_sent.push_back(sums[i] / operations);
  }
  while (!wan.path_sent.empty() && wan.path_sent.back() <= 0) {
    wan.path_sent.pop_back();
  }
  return wan;
}

}  // namespace

Meter::Meter(const Settings& settings, Subject& subject, Progress progress)
    : settings_(settings),
      subject_(subject),
      progress_(std::move(progress)),
      gate_(subject, settings.rest) {}

Status Meter::SetUp() {
  uint64_t widest = 1;
  for (DataType type : settings_.types) {
    widest = std::max<uint64_t>(widest, SizeOf(type));
  }
  const bool moves = settings_.collective == Collective::kAllReduce;
  room_ = (moves ? settings_.max_bytes : 0) + settings_.unalign * widest;
  room_ = (room_ + kAlignment) / kAlignment * kAlignment;
  source_.reset(std::aligned_alloc(kAlignment, room_));
  target_.reset(std::aligned_alloc(kAlignment, room_));
  if (source_ == nullptr || target_ == nullptr) {
    return {StatusCode::kExhausted,
            Text("no memory for two buffers of %llu bytes; lower --maxbytes",
                 static_cast<unsigned long long>(room_))};
  }
  // Touched now, so that no row pays for the pages.
  std::memset(source_.get(), 0, room_);
  std::memset(target_.get(), 0, room_);
  return gate_.SetUp();
}

Result<RowResult> Meter::Run(uint64_t bytes, DataType type, ReduceOp op) {
  RowResult row;
  const bool moves = settings_.collective == Collective::kAllReduce;
  row.count = moves ? bytes / SizeOf(type) : 0;
  row.bytes = row.count * SizeOf(type);
  const std::optional<WanTraffic> before = subject_.Traffic();
  Case what{row.count, type, op, false};
  Status status = Half(what, &row.out_of_place);
  if (!status.ok()) return status;
  what.in_place = true;
  status = Half(what, &row.in_place);
  if (!status.ok()) return status;
  row.algorithm = moves ? subject_.AlgorithmFor(row.count, type) : "";
  if (settings_.wan && before) status = Wan(*before, &row);
  if (!status.ok()) return status;
  return row;
}

// What has crossed since `before`, of all ranks.
Status Meter::Wan(const WanTraffic& before, RowResult* row) {
  const WanTraffic after = subject_.Traffic().value_or(before);
  std::vector<double> sums{
      static_cast<double>(after.sent - before.sent),
      static_cast<double>(after.resent - before.resent),
      static_cast<double>(after.retransmits - before.retransmits),
      static_cast<double>(after.credit_waits - before.credit_waits),
      static_cast<double>(after.flows),
      after.flows > 0 ? 1.0 : 0.0};
  for (size_t i = 0; i < WanTraffic::kPaths; ++i) {
    // Counters of a path that was lost and is back begin anew.
    const uint64_t now = after.path_sent[i];
    const uint64_t then = std::min(now, before.path_sent[i]);
    sums.push_back(static_cast<double>(now - then));
  }
  Status status = subject_.Combine(sums.data(), sums.size(), DataType::kFloat64,
                                   ReduceOp::kSum);
  const int each =
      settings_.aggregate * (settings_.iterations + settings_.warm_up) +
      settings_.checks;
  row->wan = PerOperation(sums, 2.0 * each);
  return status;
}

void* Meter::input(const Case& what) const {
  // In place, the target holds the input; the source keeps a clean copy.
  return what.in_place ? output(what)
                       : static_cast<char*>(source_.get()) +
                             settings_.unalign * SizeOf(what.type);
}

void* Meter::output(const Case& what) const {
  return static_cast<char*>(target_.get()) +
         settings_.unalign * SizeOf(what.type);
}

void Meter::FillInput(const Case& what) {
  Case clean = what;
  clean.in_place = false;
  PatternOf(what).Fill(subject_.rank(), ++round_, input(clean), what.count);
}

Pattern Meter::PatternOf(const Case& what) const {
  return Pattern(what.type, what.op, subject_.size(),
                 subject_.Tolerance(what.type, what.op));
}

// Puts the input where the next operation wants it.
void Meter::Prepare(const Case& what) {
  if (settings_.checks == 0) return;
  Case clean = what;
  clean.in_place = false;
  const size_t bytes = what.count * SizeOf(what.type);
  if (what.in_place) {
    std::memcpy(output(what), input(clean), bytes);
  } else {
    std::memset(output(what), kPoison, bytes);
  }
}

Status Meter::Issue(const Case& what) {
  if (settings_.collective == Collective::kBarrier) {
    return subject_.StartBarrier();
  }
  return subject_.Start(input(what), output(what), what.count, what.type,
                        what.op);
}

Status Meter::WarmUp(const Case& what) {
  for (int i = 0; i < settings_.warm_up * settings_.aggregate; ++i) {
    Prepare(what);
    Status status = gate_.Pass();
    if (!status.ok()) return status;
    Status started = Issue(what);
    status = subject_.Finish();
    if (!started.ok()) return started;
    if (!status.ok()) return status;
  }
  return {};
}

// The operations of an iteration share their memory, so each is waited for
// before the next.
Status Meter::Iteration(const Case& what, double* time) {
  Status fault;
  Duration issuing = 0;
  const TimePoint begin = Now();
  for (int i = 0; i < settings_.aggregate && fault.ok(); ++i) {
    const TimePoint from = Now();
    fault = Issue(what);
    issuing += Now() - from;
    Status finished = subject_.Finish();
    if (fault.ok()) fault = std::move(finished);
    if (fault.ok() && settings_.blocking == Blocking::kInnerBarrier) {
      fault = subject_.StartBarrier();
      finished = subject_.Finish();
      if (fault.ok()) fault = std::move(finished);
    }
  }
  const Duration whole = Now() - begin;
  *time = Microseconds(settings_.issue_time ? issuing : whole) /
          settings_.aggregate;
  return fault;
}

Status Meter::TimeIterations(const Case& what, Measurement* out) {
  const uint64_t bytes = what.count * SizeOf(what.type);
  const bool gated = settings_.blocking == Blocking::kOuterBarrier;
  std::vector<double>* own = &out->times_us;
  own->clear();
  for (int i = 0; i < settings_.iterations; ++i) {
    if (gated || i == 0) {
      if (settings_.each && settings_.checks > 0) FillInput(what);
      Prepare(what);
      Status status = gate_.Pass();
      if (!status.ok()) return status;
    }
    if (settings_.each && subject_.rank() == 0) {
      std::printf("# each %d began %.6f\n", told_, Seconds(Now()));
      std::fflush(stdout);
    }
    double time = 0;
    Status status = Iteration(what, &time);
    if (status.ok() && settings_.each) status = TellEnd(what, out);
    if (!status.ok()) return status;
    own->push_back(time);
    if (progress_) progress_(bytes, i + 1, settings_.iterations);
  }
  return {};
}

// The iteration has just ended here.
Status Meter::TellEnd(const Case& what, Measurement* out) {
  int64_t end = Now();
  const uint64_t before = out->wrong;
  Status status = subject_.Combine(&end, 1, DataType::kInt64, ReduceOp::kMax);
  if (status.ok() && settings_.checks > 0) status = CountWrong(what, out);
  if (status.ok() && subject_.rank() == 0) {
    std::printf("# each %d ended %.6f wrong %llu\n", told_, Seconds(end),
                static_cast<unsigned long long>(out->wrong - before));
    std::fflush(stdout);
  }
  ++told_;
  return status;
}

// What the ranks saw becomes one number per iteration.
Status Meter::Agree(std::vector<double>* times) {
  ReduceOp op = ReduceOp::kMax;
  switch (settings_.across) {
    case Across::kRank0:
      op = ReduceOp::kSum;
      if (subject_.rank() != 0) std::fill(times->begin(), times->end(), 0.0);
      break;
    case Across::kAverage:
      op = ReduceOp::kSum;
      for (double& time : *times) time /= subject_.size();
      break;
    case Across::kMin:
      op = ReduceOp::kMin;
      break;
    case Across::kMax:
      break;
  }
  return subject_.Combine(times->data(), times->size(), DataType::kFloat64, op);
}

Status Meter::CountWrong(const Case& what, Measurement* out) {
  const Pattern pattern = PatternOf(what);
  size_t first = 0;
  const size_t wrong =
      pattern.CountWrong(round_, output(what), what.count, &first);
  if (wrong > 0) {
    std::fprintf(stderr,
                 "rank %d: %zu of %zu elements wrong (%s, %s, %s), the first "
                 "at %zu\n",
                 subject_.rank(), wrong, what.count, NameOf(what.type),
                 NameOf(what.op), what.in_place ? "in place" : "out of place",
                 first);
  }
  uint64_t sums[2] = {what.count, wrong};
  Status status = subject_.Combine(sums, 2, DataType::kUint64, ReduceOp::kSum);
  out->checked += sums[0];
  out->wrong += sums[1];
  if (!status.ok() || subject_.Tolerance(what.type, what.op) <= 0) {
    return status;
  }
  return CountDifferent(what, out);
}

// Results that are only near to what they should be are equal on all ranks.
Status Meter::CountDifferent(const Case& what, Measurement* out) {
  uint64_t hash = kFnv1aStart;
  const auto* bytes = static_cast<const uint8_t*>(output(what));
  for (size_t i = 0; i < what.count * SizeOf(what.type); ++i) {
    hash = Fnv1a(hash, bytes[i]);
  }
  uint64_t ends[2] = {hash, ~hash};
  Status status = subject_.Combine(ends, 2, DataType::kUint64, ReduceOp::kMin);
  if (status.ok() && ends[0] != ~ends[1]) {
    std::fprintf(stderr, "rank %d: results differ between ranks\n",
                 subject_.rank());
    out->wrong += what.count;
  }
  return status;
}

Status Meter::Check(const Case& what, Measurement* out) {
  // The last timed iteration left a result too.
  if (settings_.blocking == Blocking::kOuterBarrier &&
      settings_.aggregate == 1 && !settings_.each) {
    Status status = CountWrong(what, out);
    if (!status.ok()) return status;
  }
  for (int i = 0; i < settings_.checks; ++i) {
    FillInput(what);
    Prepare(what);
    Status started = Issue(what);
    Status status = subject_.Finish();
    if (!started.ok()) return started;
    if (!status.ok()) return status;
    status = CountWrong(what, out);
    if (!status.ok()) return status;
  }
  return {};
}

Status Meter::Half(const Case& what, Measurement* out) {
  const bool moves = settings_.collective == Collective::kAllReduce;
  if (moves && settings_.checks > 0) FillInput(what);
  Status status = WarmUp(what);
  if (status.ok()) status = TimeIterations(what, out);
  if (status.ok()) status = Agree(&out->times_us);
  out->time_us = Mean(out->times_us);
  if (status.ok() && moves && settings_.checks > 0) status = Check(what, out);
  return status;
}

}  // namespace longhaul::bench
