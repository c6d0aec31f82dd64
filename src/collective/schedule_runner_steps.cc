// The steps of segments in flight: messages and arithmetic.
#include <cinttypes>

#include "base/clock.h"
#include "base/text.h"
#include "collective/decode_sum.h"
#include "collective/fingerprint.h"
#include "collective/schedule_runner.h"
#include "compute/reduce.h"

namespace longhaul {
namespace {

/// Steps run in one turn, so that arithmetic does not keep sockets waiting.
constexpr size_t kStepsPerTurn = 64;

Status BadCode(uint64_t sequence) {
  return {StatusCode::kCorrupt,
          Text("operation %" PRIu64
               ": what came from another site is no code of its codec",
               sequence)};
}

// Of that many elements of Space::kCodes, a multiple of kCodeGrain.
size_t CodeRoom(const Codec& codec, uint64_t elements) {
  return elements / kCodeGrain * codec.EncodedSize(kCodeGrain);
}

}  // namespace

void ScheduleRunner::RunSteps() {
  for (size_t n = 0; next_ready_ < ready_.size() && n < kStepsPerTurn; ++n) {
    const ReadyStep ready = ready_[next_ready_++];
    if (ready.segment->run->failure.ok()) RunStep(*ready.segment, ready.step);
  }
  if (next_ready_ == ready_.size()) {
    ready_.clear();
    next_ready_ = 0;
  }
}

void ScheduleRunner::RunStep(Segment& segment, uint32_t index) {
  const Step& step = segment.schedule().steps[index];
  switch (step.kind) {
    case StepKind::kSend:
      SendStep(segment, step, index);
      return;
    case StepKind::kRecv:
      RecvStep(segment, step, index);
      return;
    case StepKind::kReduce:
    case StepKind::kCopy:
      ReduceStep(segment, step);
      StepDone(segment, index);
      return;
    case StepKind::kEncode:
      EncodeStep(segment, step, index);
      StepDone(segment, index);
      return;
    case StepKind::kDecode:
      if (DecodeStep(segment, step)) {
        StepDone(segment, index);
      } else {
        Fail(*segment.run, BadCode(segment.run->sequence));
      }
      return;
  }
}

// Codes lie behind the rest of the scratch.
size_t ScheduleRunner::CodesBegin(const Run& run, const Schedule& schedule) {
  constexpr size_t kLine = 64;
  const size_t bytes = schedule.scratch_count * run.element_size;
  return (bytes + kLine - 1) / kLine * kLine;
}

size_t ScheduleRunner::ScratchOf(const Run& run, const Schedule& schedule) {
  if (schedule.code_count == 0) {
    return schedule.scratch_count * run.element_size;
  }
  return CodesBegin(run, schedule) + CodeRoom(*run.codec, schedule.code_count);
}

// A code whose length is to be seen.
bool ScheduleRunner::IsMeasured(const Segment& segment, const Extent& extent) {
  return extent.space == Space::kCodes && extent.count > 0 &&
         !segment.run->codec->fixed_rate();
}

// The most bytes it has.
size_t ScheduleRunner::RoomFor(const Run& run, const Extent& extent) {
  return extent.space == Space::kCodes ? run.codec->EncodedSize(extent.count)
                                       : extent.count * run.element_size;
}

size_t ScheduleRunner::BytesOf(const Segment& segment, const Extent& extent) {
  return IsMeasured(segment, extent)
             ? segment.code_sizes[extent.offset / kCodeGrain]
             : RoomFor(*segment.run, extent);
}

void ScheduleRunner::Measure(Segment& segment, const Extent& code,
                             size_t bytes) {
  if (IsMeasured(segment, code)) {
    segment.code_sizes[code.offset / kCodeGrain] = static_cast<uint32_t>(bytes);
  }
}

uint8_t* ScheduleRunner::At(const Segment& segment,
                            const Extent& extent) const {
  const Run& run = *segment.run;
  const size_t size = run.element_size;
  const OperationCall& call = run.operation->call;
  switch (extent.space) {
    case Space::kInput:
      return const_cast<uint8_t*>(call.input) +
             (segment.input + extent.offset) * size;
    case Space::kOutput:
      return call.output + (segment.output + extent.offset) * size;
    case Space::kScratch:
      return segment.scratch.bytes.get() + extent.offset * size;
    case Space::kCodes:
      return segment.scratch.bytes.get() + CodesBegin(run, segment.schedule()) +
             CodeRoom(*run.codec, extent.offset);
  }
  return nullptr;
}

void ScheduleRunner::SendStep(Segment& segment, const Step& step,
                              uint32_t index) {
  const Extent& source = segment.schedule().SourcesOf(step)[0];
  StepSend& send = segment.sends[index];
  send.segment = &segment;
  send.step = index;
  send.id = {config_.communicator,
             0,
             segment.run->sequence,
             static_cast<uint32_t>(config_.self),
             static_cast<uint32_t>(step.peer),
             segment.index << 32 | step.message};
  send.fingerprint = segment.run->fingerprint;
  send.data = At(segment, source);
  send.size = BytesOf(segment, source);
  send.listener = this;
  ++segment.run->lent;
  Peer(step.peer).Send(send);
}

void ScheduleRunner::RecvStep(Segment& segment, const Step& step,
                              uint32_t index) {
  StepRecv& recv = segment.recvs[index];
  recv.segment = &segment;
  recv.step = index;
  recv.id = {config_.communicator,
             0,
             segment.run->sequence,
             static_cast<uint32_t>(step.peer),
             static_cast<uint32_t>(config_.self),
             segment.index << 32 | step.message};
  recv.fingerprint = segment.run->fingerprint;
  recv.data = At(segment, step.target);
  recv.size = RoomFor(*segment.run, step.target);
  recv.at_most = IsMeasured(segment, step.target);
  recv.listener = this;
  ++segment.run->lent;
  Peer(step.peer).Recv(recv);
}

void ScheduleRunner::ReduceStep(Segment& segment, const Step& step) {
  const OperationCall& call = segment.run->operation->call;
  operands_.clear();
  for (const Extent& source : segment.schedule().SourcesOf(step)) {
    operands_.push_back(At(segment, source));
  }
  uint8_t* target = At(segment, step.target);
  if (step.kind == StepKind::kCopy && operands_[0] == target) return;
  const bool divide = step.final && call.op == ReduceOp::kAvg;
  Reduce({call.type, call.op,
          divide ? static_cast<uint32_t>(topology_.size()) : 1},
         target, operands_, step.target.count);
}

// A function of what all ranks may know, but used by one: by another rank, in
// another step or operation, another one.
uint64_t ScheduleRunner::SeedOf(const Segment& segment, uint32_t step) const {
  return HashOf({config_.communicator, segment.run->sequence,
                 static_cast<uint64_t>(config_.self), segment.index, step});
}

void ScheduleRunner::EncodeStep(Segment& segment, const Step& step,
                                uint32_t index) {
  const Extent& source = segment.schedule().SourcesOf(step)[0];
  const Run& run = *segment.run;
  const uint64_t seed = SeedOf(segment, index);
  const TimePoint start = Now();
  if (run.tensor != nullptr) {
    EncodeWithFeedback(*run.offer->ForFeedback(), run.operation->call.type,
                       At(segment, source), segment.input + step.element,
                       source.count, step.final ? Stage::kTotal : Stage::kSum,
                       seed, run.tensor->residuals, At(segment, step.target));
  } else {
    Measure(segment, step.target,
            run.codec->Encode(At(segment, source), source.count,
                              At(segment, step.target), {seed, 0}));
  }
  CodecCounters& use = *run.codec_use;
  use.plain_bytes += source.count * run.element_size;
  use.coded_bytes += BytesOf(segment, step.target);
  use.encode_time += std::chrono::nanoseconds(Now() - start);
}

bool ScheduleRunner::DecodeStep(Segment& segment, const Step& step) {
  const Run& run = *segment.run;
  codes_.clear();
  for (const Extent& source : segment.schedule().SourcesOf(step)) {
    codes_.push_back({At(segment, source), BytesOf(segment, source)});
  }
  const bool divide = step.final && run.operation->call.op == ReduceOp::kAvg;
  const TimePoint start = Now();
  const bool sound =
      DecodeSum(*run.codec, codes_, step.target.count,
                divide ? static_cast<uint32_t>(topology_.size()) : 1,
                At(segment, step.target));
  run.codec_use->decode_time += std::chrono::nanoseconds(Now() - start);
  return sound;
}

void ScheduleRunner::StepDone(Segment& segment, uint32_t step) {
  for (const uint32_t next : segment.successors().Of(step)) {
    if (--segment.waiting[next] == 0) ready_.push_back({&segment, next});
  }
  if (--segment.left == 0) ended_.push_back(&segment);
}

}  // namespace longhaul
