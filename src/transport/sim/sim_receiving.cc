// From the end of a link to the sink, one frame at a time.
#include <cstring>

#include "base/check.h"
#include "base/text.h"
#include "transport/sim/sim_network.h"

namespace longhaul {

void SimNetwork::StartReceiving(SimSide& side) {
  while (side.open && side.sink != nullptr && side.receiving == nullptr &&
         !side.inbound.empty()) {
    Frame& frame = *side.inbound.front();
    side.inbound.pop_front();
    Receive(side, frame);
    Release(frame);
  }
}

// The first byte of `frame` is here.
void SimNetwork::Receive(SimSide& side, Frame& frame) {
  if (frame.kind == Frame::Kind::kFinish) {
    Fail(side, StatusCode::kUnreachable, "the peer closed it");
    return;
  }
  HeaderBytes bytes = frame.header;
  if (side.corrupt_next) {
    side.corrupt_next = false;
    const size_t bit = random_() % (8 * kHeaderSize);
    bytes[bit / 8] = static_cast<uint8_t>(bytes[bit / 8] ^ (1u << (bit % 8)));
  }
  const Result<ChunkHeader> header = DecodeHeader(bytes);
  if (!header.ok()) {
    Fail(side, StatusCode::kCorrupt, header.status().text().c_str());
    return;
  }
  side.header = *header;
  side.place = {};
  side.diverted = false;
  side.receiving = &frame;
  Schedule(now_ + frame.length, EventKind::kArrived, side, &frame);
  if (side.header.size == 0 || side.header.kind == FrameKind::kPadding) return;
  const Buffer place = side.sink->Place(*side.endpoint, side.header, now_);
  if (side.receiving != &frame) return;  // closed from within Place
  LH_CHECK(place.data == nullptr || place.size >= side.header.size);
  side.place = place;
  // The first half is written now, the second when it has arrived.
  if (place.data != nullptr && !side.diverted && !frame.cut) {
    std::memcpy(place.data, frame.bytes, frame.size / 2);
  }
}

// The last byte of `frame` is here, unless it was cut off at the sender's.
void SimNetwork::Arrived(SimSide& side, Frame& frame) {
  if (side.receiving != &frame || frame.cut) return;
  if (side.peer->silent) {
    side.overdue = true;
    ++frame.references;
    return;
  }
  side.receiving = nullptr;
  side.bytes_received += kHeaderSize + frame.size;
  if (!side.diverted) {
    if (side.place.data != nullptr) {
      const size_t half = frame.size / 2;
      std::memcpy(static_cast<uint8_t*>(side.place.data) + half,
                  frame.bytes + half, frame.size - half);
    }
    side.sink->Arrived(*side.endpoint, side.header, side.place, now_);
  }
  StartReceiving(side);
}

// Forgets everything lent and queued; no call to the sink follows.
void SimNetwork::LetGo(SimSide& side) {
  side.open = false;
  if (std::exchange(side.overdue, false)) Release(*side.receiving);
  side.receiving = nullptr;
  if (side.leaving != nullptr) {
    side.leaving->cut = true;
    side.leaving = nullptr;
  }
  for (auto* queue : {&side.control, &side.data}) {
    for (Frame* frame : *queue) frames_.Destroy(frame);
    queue->clear();
  }
  for (Frame* frame : std::exchange(side.inbound, {})) Release(*frame);
}

void SimNetwork::Fail(SimSide& side, StatusCode code, const char* what) {
  LetGo(side);
  SendMark(side, Frame::Kind::kReset);
  if (side.sink == nullptr) return;
  side.sink->Failed(
      *side.endpoint,
      Status(code, Text("%s: %s", side.endpoint->Name().c_str(), what),
             FaultScope::kPath));
}

}  // namespace longhaul
