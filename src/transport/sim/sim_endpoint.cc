#include "transport/sim/sim_endpoint.h"

#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "transport/sim/sim_network.h"

namespace longhaul {

SimEndpoint::SimEndpoint(SimNetwork& network, SimSide& side)
    : network_(network), side_(side) {
  side_.endpoint = this;
  ++network_.alive_;
}

SimEndpoint::~SimEndpoint() {
  Close();
  side_.endpoint = nullptr;
  --network_.alive_;
}

void SimEndpoint::SetSink(ChunkSink& sink) {
  side_.sink = &sink;
  network_.Schedule(network_.now(), SimNetwork::EventKind::kPoke, side_,
                    nullptr);
}

bool SimEndpoint::TrySend(const ChunkHeader& header, ConstBuffer payload,
                          void* cookie) {
  LH_DCHECK(payload.size == header.size && !side_.finishing);
  LH_DCHECK(header.size <= max_payload());
  if (!side_.open) return false;
  if (side_.data.size() >= side_.link.queue) {
    side_.refused = true;
    return false;
  }
  SimFrame& frame = *network_.frames_.Make();
  EncodeHeader(header, frame.header);
  frame.size = header.size;
  frame.cookie = cookie;
  frame.lent = true;
  frame.bytes = static_cast<const uint8_t*>(payload.data);
  side_.data.push_back(&frame);
  network_.StartSending(side_);
  return true;
}

bool SimEndpoint::TrySendControl(const ChunkHeader& header,
                                 std::span<const uint8_t> payload) {
  LH_DCHECK(payload.size() == header.size && !side_.finishing);
  if (!side_.open) return false;
  if (side_.control.size() >= side_.link.control_queue) {
    side_.refused = true;
    return false;
  }
  SimFrame& frame = *network_.frames_.Make();
  EncodeHeader(header, frame.header);
  frame.size = header.size;
  frame.copy.assign(payload.begin(), payload.end());
  frame.bytes = frame.copy.data();
  side_.control.push_back(&frame);
  network_.StartSending(side_);
  return true;
}

void SimEndpoint::Divert() {
  if (side_.receiving != nullptr) side_.diverted = true;
}

void SimEndpoint::Finish() {
  side_.finishing = true;
  if (side_.open) network_.StartSending(side_);
}

void SimEndpoint::Close() {
  if (!side_.open) return;
  network_.LetGo(side_);
  network_.SendMark(side_, SimFrame::Kind::kReset);
}

bool SimEndpoint::Drained() const {
  return side_.leaving == nullptr && side_.control.empty() &&
         side_.data.empty();
}

bool SimEndpoint::reliable() const { return side_.link.reliable; }

uint32_t SimEndpoint::max_payload() const { return side_.link.max_payload; }

EndpointStats SimEndpoint::Stats() const {
  EndpointStats stats;
  stats.bytes_sent = side_.bytes_sent;
  stats.bytes_received = side_.bytes_received;
  stats.min_rtt = side_.min_rtt;
  stats.rtt = side_.link.delay + side_.peer->link.delay +
              (side_.link.jitter + side_.peer->link.jitter) / 2;
  stats.delivery_rate = side_.delivery_rate;
  stats.bytes_in_flight = side_.bytes_in_flight;
  stats.bytes_delivered = side_.bytes_delivered;
  for (const auto* queue : {&side_.control, &side_.data}) {
    for (const SimFrame* frame : *queue) {
      stats.bytes_unsent += kHeaderSize + frame->size;
    }
  }
  // What waits before a reliable link that is silent has been sent, in vain.
  if (side_.silent && side_.link.reliable) {
    stats.bytes_in_flight += std::exchange(stats.bytes_unsent, 0);
  }
  return stats;
}

std::string SimEndpoint::Name() const {
  return Text("sim:%llu -> sim:%llu",
              static_cast<unsigned long long>(side_.number),
              static_cast<unsigned long long>(side_.peer->number));
}

}  // namespace longhaul
