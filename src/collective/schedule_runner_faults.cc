// What goes wrong: here, with other ranks, and between them.
#include <algorithm>
#include <cinttypes>

#include "base/text.h"
#include "collective/fingerprint.h"
#include "collective/schedule_runner.h"

namespace longhaul {
namespace {

/// More news of operations that have not begun here is a defect or an attack.
constexpr size_t kMaxToldEarly = 4096;

}  // namespace

void ScheduleRunner::CompareWith(Run& run, const ChunkHeader& header) {
  if (header.fingerprint == run.fingerprint || !run.failure.ok()) return;
  Fail(run, Status(StatusCode::kInvalidArgument,
                   Text("ranks disagree on operation %llu: rank %u called %s, "
                        "rank %d %s%s",
                        static_cast<unsigned long long>(run.sequence),
                        header.id.source, Describe(header.fingerprint).c_str(),
                        config_.self, Describe(run.fingerprint).c_str(),
                        HintOn(header.fingerprint, run.fingerprint))));
}

ScheduleRunner::Run* ScheduleRunner::Find(uint64_t sequence) const {
  for (Run* run : active_) {
    if (run->sequence == sequence) return run;
  }
  return nullptr;
}

OperationState ScheduleRunner::StateOf(uint32_t /*epoch*/,
                                       uint64_t sequence) const {
  if (sequence >= next_sequence_) return OperationState::kOpen;
  if (const Run* run = Find(sequence)) {
    return run->failure.ok() ? OperationState::kOpen : OperationState::kAborted;
  }
  return aborted_[sequence % kRemembered] ? OperationState::kAborted
                                          : OperationState::kDone;
}

void ScheduleRunner::OnUnexpected(Connection& /*from*/,
                                  const ChunkHeader& header) {
  if (Run* run = Find(header.id.sequence)) CompareWith(*run, header);
}

void ScheduleRunner::OnDisagreement(Connection& /*from*/, const RecvOp& op,
                                    const ChunkHeader& header) {
  Run* run = Find(op.id.sequence);
  if (run == nullptr) return;
  CompareWith(*run, header);
  if (!run->failure.ok()) return;
  // The same operation, yet another message: the ranks see different sites.
  Fail(*run,
       Status(
           StatusCode::kInvalidArgument,
           Text("ranks disagree on the schedule of operation %llu: "
                "rank %u sent %llu bytes where rank %d expects %llu; "
                "is the topology the same everywhere?",
                static_cast<unsigned long long>(run->sequence),
                header.id.source, static_cast<unsigned long long>(header.total),
                config_.self, static_cast<unsigned long long>(op.size))));
}

void ScheduleRunner::OnNotice(Connection& /*from*/, const Notice& notice) {
  if (notice.status.scope() == FaultScope::kCommunicator) {
    if (notice.status.code() == StatusCode::kAborted) {
      CloseFrom(notice.sequence, notice.status);
    } else {
      Break(notice.status);
    }
    return;
  }
  if (Run* run = Find(notice.sequence)) {
    Fail(*run, notice.status);
  } else if (notice.sequence >= next_sequence_ &&
             told_early_.size() < kMaxToldEarly) {
    told_early_.emplace(notice.sequence, notice.status);
  }
}

void ScheduleRunner::OnFault(Connection& /*from*/, const Status& why) {
  Break(Status(why.code(), why.text(), FaultScope::kCommunicator));
}

// A rank has left. It has done its part in all operations before `sequence`,
// which may still be under way here.
void ScheduleRunner::CloseFrom(uint64_t sequence, const Status& why) {
  if (sequence >= closed_from_) return;
  closed_from_ = sequence;
  closed_ = why;
  for (Run* run : active_) {
    if (run->sequence >= sequence) Fail(*run, why);
  }
}

void ScheduleRunner::Abort(const Status& why) {
  if (broken_.ok()) {
    broken_ = Status(why.code(), why.text(), FaultScope::kCommunicator);
    Say(next_sequence_,
        Status(StatusCode::kAborted,
               Text("rank %d has closed the communicator", config_.self),
               FaultScope::kCommunicator));
  }
  for (Run* run : active_) Fail(*run, why);
  Wake();
}

void ScheduleRunner::Break(const Status& why) {
  if (!broken_.ok()) return;
  broken_ = why;
  Say(next_sequence_, why);
  for (Run* run : active_) Fail(*run, why);
  Wake();
}

// Takes note; Poll acts on it, outside of any connection's calls.
void ScheduleRunner::Fail(Run& run, const Status& why) {
  if (run.failure.ok()) run.failure = why;
  Wake();
}

// Every message comes back, and every peer hears of it.
void ScheduleRunner::ActOnFailure(Run& run) {
  run.cancelled = true;
  for (Segment* segment : run.segments) {
    const size_t steps = segment->schedule().steps.size();
    for (size_t i = 0; i < steps; ++i) {
      const Step& step = segment->schedule().steps[i];
      StepSend& send = segment->sends[i];
      StepRecv& recv = segment->recvs[i];
      if (step.kind == StepKind::kSend && send.state != SendOp::State::kIdle) {
        Peer(step.peer).Cancel(send, run.failure);
      } else if (step.kind == StepKind::kRecv && recv.posted) {
        Peer(step.peer).Cancel(recv, run.failure);
      }
    }
  }
  Say(run.sequence, run.failure);
}

void ScheduleRunner::Say(uint64_t sequence, const Status& why) {
  for (Connection* connection : attached_) {
    connection->Tell({config_.communicator, 0, sequence, why});
  }
}

}  // namespace longhaul
