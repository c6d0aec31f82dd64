#include "collective/rendezvous_store.h"

#include <utility>

#include "base/text.h"

namespace longhaul {
namespace {

// What a member costs besides its blob, roughly.
constexpr uint64_t kMemberCost = 256;
constexpr size_t kMaxNotes = 1024;

RendezvousBytes Share(std::vector<uint8_t> bytes) {
  return std::make_shared<const std::vector<uint8_t>>(std::move(bytes));
}

RendezvousBytes ErrorBytes(StatusCode code, const std::string& text) {
  return Share(EncodeMessage(ErrorMessage{code, text}));
}

}  // namespace

void RendezvousStore::Join(uint64_t client, const std::string& from,
                           JoinMessage join, TimePoint now) {
  auto at = keys_.find(join.key);
  if (at == keys_.end()) {
    if (keys_.size() >= config_.max_keys) {
      Refuse(client, StatusCode::kExhausted,
             Text("the rendezvous holds %zu keys, and takes no more",
                  keys_.size()));
      return;
    }
    at = keys_.emplace(join.key, Key{}).first;
    at->second.size = join.size;
    at->second.since = at->second.noticed = now;
  }
  Key& key = at->second;
  if (key.state == State::kFailed) {
    mailer_.Deliver(client, key.table, true);
    return;
  }
  if (key.state == State::kComplete) {
    JoinComplete(key, client, join);
    return;
  }
  const std::string disagreement = Disagreement(key, from, join);
  if (!disagreement.empty()) {
    mailer_.Deliver(
        client, ErrorBytes(StatusCode::kInvalidArgument, disagreement), true);
    Fail(key, disagreement, now);
    return;
  }
  Admit(at, client, from, std::move(join), now);
}

void RendezvousStore::Admit(Keys::iterator at, uint64_t client,
                            const std::string& from, JoinMessage join,
                            TimePoint now) {
  Key& key = at->second;
  const uint64_t cost = join.blob.size() + kMemberCost;
  if (bytes_ + cost > config_.max_bytes) {
    Refuse(client, StatusCode::kExhausted,
           Text("the rendezvous holds %llu bytes, and takes no more",
                static_cast<unsigned long long>(bytes_)));
    if (key.members.empty()) Forget(at);
    return;
  }
  Member& member = key.members[join.rank];
  if (member.client != 0) {  // the same process, come again
    const uint64_t before = member.blob.size() + kMemberCost;
    key.bytes -= before;
    bytes_ -= before;
    places_.erase(member.client);
    mailer_.Replaced(member.client);
  }
  member = {client, join.incarnation, from, std::move(join.blob)};
  places_[client] = {at->first, join.rank};
  key.bytes += cost;
  bytes_ += cost;
  key.changed = true;
  if (key.members.size() == key.size) {
    Complete(key, now);
  } else {
    mailer_.Deliver(client, Notice(key), false);
  }
}

// Why this join and those before it cannot be of one job; empty if they can.
std::string RendezvousStore::Disagreement(const Key& key,
                                          const std::string& from,
                                          const JoinMessage& join) const {
  if (join.size != key.size) {
    const auto& [rank, first] = *key.members.begin();
    return Text(
        "ranks disagree on how many they are: rank %u (%s) says %u, rank %u "
        "(%s) says %u",
        rank, first.from.c_str(), key.size, join.rank, from.c_str(), join.size);
  }
  const auto same = key.members.find(join.rank);
  if (same == key.members.end() ||
      same->second.incarnation == join.incarnation) {
    return {};
  }
  return Text(
      "two processes say that they are rank %u of %u: one at %s, one "
      "at %s",
      join.rank, join.size, same->second.from.c_str(), from.c_str());
}

// Somebody comes after the table is made: a member whose connection broke, or
// somebody else.
void RendezvousStore::JoinComplete(Key& key, uint64_t client,
                                   const JoinMessage& join) {
  const auto at = key.members.find(join.rank);
  if (at == key.members.end() || join.size != key.size ||
      at->second.incarnation != join.incarnation) {
    Refuse(client, StatusCode::kInvalidArgument,
           Text("all %u ranks have joined already; rank %u of %u comes too "
                "late, or belongs to another job",
                key.size, join.rank, join.size));
    return;
  }
  if (at->second.client != 0) {
    places_.erase(at->second.client);
    mailer_.Replaced(at->second.client);
  }
  at->second.client = client;
  places_[client] = {join.key, join.rank};
  mailer_.Deliver(client, key.table, true);
}

void RendezvousStore::Complete(Key& key, TimePoint now) {
  TableMessage table{config_.job, config_.secret, ++tables_, {}};
  for (auto& [rank, member] : key.members) {
    table.blobs.push_back(std::move(member.blob));
    member.blob = {};
  }
  key.table = Share(EncodeMessage(table));
  key.state = State::kComplete;
  key.since = now;
  for (const auto& [rank, member] : key.members) {
    mailer_.Deliver(member.client, key.table, true);
  }
}

void RendezvousStore::Fail(Key& key, const std::string& text, TimePoint now) {
  key.table = ErrorBytes(StatusCode::kInvalidArgument, text);
  key.state = State::kFailed;
  key.since = now;
  for (const auto& [rank, member] : key.members) {
    places_.erase(member.client);
    mailer_.Deliver(member.client, key.table, true);
  }
  key.members.clear();
  bytes_ -= key.bytes;
  key.bytes = 0;
}

void RendezvousStore::Refuse(uint64_t client, StatusCode code,
                             const std::string& text) {
  mailer_.Deliver(client, ErrorBytes(code, text), true);
}

void RendezvousStore::Leave(uint64_t client, bool served) {
  const auto place = places_.find(client);
  if (place == places_.end()) return;
  const auto at = keys_.find(place->second.key);
  const auto member = at->second.members.find(place->second.rank);
  places_.erase(place);
  Key& key = at->second;
  if (key.state == State::kComplete && !served) {
    member->second.client = 0;  // it may come again for the table
    return;
  }
  if (key.state == State::kGathering) {
    const uint64_t cost = member->second.blob.size() + kMemberCost;
    key.bytes -= cost;
    bytes_ -= cost;
    key.changed = true;
  }
  key.members.erase(member);
  if (key.members.empty()) Forget(at);
}

void RendezvousStore::Tick(TimePoint now) {
  for (auto at = keys_.begin(); at != keys_.end();) {
    Key& key = at->second;
    const auto here = at++;
    if (key.state == State::kGathering) {
      if (!key.changed && now - key.noticed < config_.notice_interval) continue;
      key.changed = false;
      key.noticed = now;
      const RendezvousBytes notice = Notice(key);
      for (const auto& [rank, member] : key.members) {
        mailer_.Deliver(member.client, notice, false);
      }
    } else if (now - key.since >= config_.keep) {
      for (const auto& [rank, member] : key.members) {
        places_.erase(member.client);
      }
      Forget(here);
    }
  }
}

void RendezvousStore::Note(const std::string& text) {
  if (notes_.find(text) != std::string::npos ||
      notes_.size() + text.size() > kMaxNotes) {
    return;
  }
  if (!notes_.empty()) notes_ += "; ";
  notes_ += text;
  for (auto& [name, key] : keys_) key.changed = true;
}

RendezvousBytes RendezvousStore::Notice(const Key& key) const {
  WaitingMessage notice;
  notice.size = key.size;
  notice.missing_count = key.size - static_cast<uint32_t>(key.members.size());
  notice.note = notes_;
  uint32_t rank = 0;
  for (const auto& [joined, member] : key.members) {
    for (; rank < joined && notice.missing.size() < kMaxListedRanks; ++rank) {
      notice.missing.push_back(rank);
    }
    rank = joined + 1;
  }
  for (; rank < key.size && notice.missing.size() < kMaxListedRanks; ++rank) {
    notice.missing.push_back(rank);
  }
  return Share(EncodeMessage(notice));
}

void RendezvousStore::Forget(Keys::iterator at) {
  bytes_ -= at->second.bytes;
  keys_.erase(at);
}

bool RendezvousStore::Drained() const {
  for (const auto& [name, key] : keys_) {
    if (key.state != State::kComplete) continue;
    for (const auto& [rank, member] : key.members) {
      if (member.client != 0) return false;
    }
  }
  return true;
}

}  // namespace longhaul
