#include "coll_meeting.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/random.h"
#include "base/text.h"
#include "collective/rendezvous.h"

namespace longhaul::nccl {
namespace {

constexpr size_t kIdBytes = 4;
constexpr size_t kLongestReason = 512;

}  // namespace

Result<std::vector<std::vector<uint8_t>>> CollMeeting::Meet(
    const char* round, std::span<const uint8_t> blob) {
  Context::Impl& context = process_.context();
  const Address& at = first_.addresses.front();
  RendezvousJoin join;
  join.server = {at.HostString(), at.port};
  join.key = Text("collnet/%016llx/%s",
                  static_cast<unsigned long long>(first_.cookie), round);
  join.rank = static_cast<uint32_t>(rank_);
  join.size = static_cast<uint32_t>(size_);
  join.incarnation = process_.card().incarnation;
  join.blob = blob;
  join.secret = context.secret().value_or(first_.door.key);
  join.timeout = context.options().connect_timeout.count();
  Result<RendezvousTable> table = RendezvousAllGather(join, context.log());
  if (!table.ok()) return table.status();
  return std::move(table->blobs);
}

// A blob is an id, of which rank 0's counts, and a card.
Result<CollMeeting::Members> CollMeeting::Exchange() {
  const std::vector<uint8_t> card = EncodeCard(process_.card());
  std::vector<uint8_t> blob(kIdBytes);
  // Below the id of pipes and of the shared account (transport/chunk.h).
  StoreLittle<uint32_t>(blob.data(),
                        static_cast<uint32_t>(RandomU64() >> 33) | 1);
  blob.insert(blob.end(), card.begin(), card.end());
  Result<std::vector<std::vector<uint8_t>>> blobs = Meet("members", blob);
  if (!blobs.ok()) return blobs.status();
  Members members;
  for (const std::vector<uint8_t>& bytes : *blobs) {
    if (bytes.size() < kIdBytes) {
      return Status(StatusCode::kCorrupt, "a member without a card",
                    FaultScope::kCommunicator);
    }
    if (members.cards.empty()) {
      members.communicator = LoadLittle<uint32_t>(bytes.data());
    }
    Result<ProcessCard> decoded =
        DecodeCard(std::span(bytes).subspan(kIdBytes));
    if (!decoded.ok()) return decoded.status();
    members.cards.push_back(std::move(decoded).value());
  }
  return members;
}

// A blob is empty, or why not.
Status CollMeeting::Commit(const Status& own) {
  std::string reason = own.ok() ? "" : own.text();
  reason.resize(std::min(reason.size(), kLongestReason));
  if (!own.ok() && reason.empty()) reason = "it could not";
  const std::vector<uint8_t> blob(reason.begin(), reason.end());
  const Result<std::vector<std::vector<uint8_t>>> blobs = Meet("commit", blob);
  if (!own.ok()) return own;
  if (!blobs.ok()) return blobs.status();
  for (size_t rank = 0; rank < blobs->size(); ++rank) {
    const std::vector<uint8_t>& said = (*blobs)[rank];
    if (said.empty()) continue;
    return {StatusCode::kAborted,
            Text("rank %zu of the group cannot join: %.*s", rank,
                 static_cast<int>(said.size()),
                 reinterpret_cast<const char*>(said.data())),
            FaultScope::kCommunicator};
  }
  return {};
}

}  // namespace longhaul::nccl
