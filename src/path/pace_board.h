// What the processes of a site tell each other of how fast they send to another
// site. Those that share a line share it evenly only by and by if each looks at
// its own flows alone (Vegas: a per cent or so per round trip), and a
// collective is over when the slowest of them is; told, they agree within a few
// round trips.
//
// A process's pace towards a site is the sum over its flows there. Each time it
// changes, some of the processes of the own site that there are connections to
// (mates) are told, in turn; who tells and who is told learn by gossip what the
// mean is. A share is bounded, and what was not heard of for a while counts no
// more, so a mate that is wrong, or uses another line, does little harm.
//
// Engine thread only. Nothing is allocated once every mate has been heard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace longhaul {

class Connection;

class PaceBoard {
 public:
  /// The line to a site, by its name; equal on all processes.
  static uint64_t LineTo(std::string_view site);

  /// Mates are told, and heard of, from Join to Leave.
  void Join(Connection& mate);
  void Leave(Connection& mate);

  /// `pace`, bytes/s, is what the flows of `own` are now paced to.
  void Publish(const Connection& own, uint64_t line, double pace);
  /// The flows of `own` are no more.
  void Withdraw(const Connection& own);
  /// A mate has told its pace.
  void Heard(const Connection& mate, uint64_t line, double pace, TimePoint now);

  /// The mean of this process's and its mates' paces on a line over its own,
  /// kLeastShare to 1 / kLeastShare; 1 if there are none to compare with.
  double Share(uint64_t line, TimePoint now) const;

  static constexpr double kLeastShare = 0.5;

 private:
  /// Told at a time; others have their turn with the next change.
  static constexpr size_t kTold = 8;
  /// No more is remembered of what is heard.
  static constexpr size_t kMostHeard = 4096;

  struct Own {
    const Connection* from;
    uint64_t line;
    double pace;
  };
  struct News {
    const Connection* from;
    uint64_t line;
    double pace;
    TimePoint at;
  };

  double OwnPace(uint64_t line) const;

  std::vector<Own> own_;
  std::vector<News> heard_;
  std::vector<Connection*> mates_;
  size_t next_ = 0;
};

}  // namespace longhaul
