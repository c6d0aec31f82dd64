// What the rendezvous server remembers and decides, without its sockets: who
// has joined which key, whether they agree, what they are to be told.
//
// A key is gathering until all its ranks have joined, then complete until all
// have fetched the table, then forgotten; or it has failed, and says so to
// everybody for a while.
//
// Thread-compatible; time is an argument.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/time.h"
#include "collective/rendezvous_frame.h"

namespace longhaul {

/// A message, without its proof; many clients are sent the same one.
using RendezvousBytes = std::shared_ptr<const std::vector<uint8_t>>;

/// Takes what the store has to say to a client. Must not call the store back.
class RendezvousMailer {
 public:
  virtual ~RendezvousMailer() = default;
  /// `last`: nothing follows, the conversation is over.
  virtual void Deliver(uint64_t client, RendezvousBytes message, bool last) = 0;
  /// The client has come again over another connection.
  virtual void Replaced(uint64_t client) = 0;
};

class RendezvousStore {
 public:
  struct Config {
    uint64_t job = 0;
    SipKey secret{};  ///< told in tables; zero if all have it from a file
    Duration notice_interval = 0;
    Duration keep = 0;
    size_t max_keys = 0;
    uint64_t max_bytes = 0;
  };

  RendezvousStore(const Config& config, RendezvousMailer& mailer)
      : config_(config), mailer_(mailer) {}

  /// `from` names the client in messages.
  void Join(uint64_t client, const std::string& from, JoinMessage join,
            TimePoint now);
  /// The client's connection has ended; `served` if it has been sent all.
  void Leave(uint64_t client, bool served);
  /// Tells those who wait whom they wait for, and forgets what is too old. To
  /// be called every fifth of the notice interval or so.
  void Tick(TimePoint now);
  /// Something those who wait should know: who has been refused.
  void Note(const std::string& text);

  size_t keys() const { return keys_.size(); }
  bool Drained() const;

 private:
  enum class State : uint8_t { kGathering, kComplete, kFailed };
  struct Member {
    uint64_t client = 0;  // 0: not connected
    uint64_t incarnation = 0;
    std::string from;
    std::vector<uint8_t> blob;
  };
  struct Key {
    State state = State::kGathering;
    uint32_t size = 0;
    std::map<uint32_t, Member> members;  // by rank
    RendezvousBytes table;               // complete; or the error, if failed
    uint64_t bytes = 0;                  // charged to the store
    TimePoint since = 0;                 // when it has become what it is
    TimePoint noticed = 0;
    bool changed = false;  // since the last notice
  };
  using Keys = std::map<std::string, Key>;
  struct Place {
    std::string key;
    uint32_t rank = 0;
  };

  void Admit(Keys::iterator at, uint64_t client, const std::string& from,
             JoinMessage join, TimePoint now);
  void JoinComplete(Key& key, uint64_t client, const JoinMessage& join);
  std::string Disagreement(const Key& key, const std::string& from,
                           const JoinMessage& join) const;
  void Complete(Key& key, TimePoint now);
  void Fail(Key& key, const std::string& text, TimePoint now);
  void Refuse(uint64_t client, StatusCode code, const std::string& text);
  RendezvousBytes Notice(const Key& key) const;
  void Forget(Keys::iterator at);

  const Config config_;
  RendezvousMailer& mailer_;
  Keys keys_;
  std::map<uint64_t, Place> places_;  // by client
  uint64_t bytes_ = 0;
  uint32_t tables_ = 0;  // made so far
  std::string notes_;
};

}  // namespace longhaul
