// What the members of a communicator's CollNet group agreed on when they
// connected, kept under the communicator's id for the tuner of the same
// process.
//
// Who may rely on it: CollNet's connect ends with a round in which either all
// members commit, with the same values, or none does. Members are the *heads*
// of the nodes, and NCCL connects them before it initialises the tuner (in
// initTransportsRank: ncclCollNetSetup, then tuner->init; so in 2.28 to 2.30).
// A rank that is no head never connects, and its process knows nothing. So
//  - where every node has one rank, all ranks are heads, and at tuner->init all
//    of them have the agreement or none has;
//  - elsewhere some ranks may have it and others not: it must not be used.
// The tuner therefore reads it once, in init, and only if there are as many
// ranks as nodes.
//
// Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>

namespace longhaul::nccl {

/// Equal on all members of the group.
struct Agreement {
  int members = 0;         ///< of the group: one per node
  int sites = 1;           ///< that the members are in
  uint64_t bdp_bytes = 0;  ///< of the line that holds most; 0: not known
  bool SpansSites() const { return sites > 1; }
  bool operator==(const Agreement&) const = default;
};

class Agreements {
 public:
  /// The process's own.
  static Agreements& OfProcess();

  /// Called at the end of a successful connect, once per group. `comm_id` 0
  /// means that NCCL gave none (before v11), and nothing is kept. Groups of one
  /// communicator (one per device and rank) say the same; if they do not, the
  /// communicator has no agreement from then on.
  void Publish(uint64_t comm_id, const Agreement& agreement);
  /// Undoes one Publish(), at close_coll.
  void Withdraw(uint64_t comm_id);
  std::optional<Agreement> Find(uint64_t comm_id) const;

 private:
  struct Entry {
    Agreement agreement;
    size_t groups = 0;
    bool contradicted = false;
  };
  mutable std::mutex mutex_;
  std::map<uint64_t, Entry> entries_;
};

}  // namespace longhaul::nccl
