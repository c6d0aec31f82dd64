#include "path/pace_board.h"

#include <algorithm>

#include "base/fnv1a.h"
#include "path/connection.h"

namespace longhaul {
namespace {

/// Paces are told again four times in this while there is something to send.
constexpr Duration kFresh = kSecond;

}  // namespace

uint64_t PaceBoard::LineTo(std::string_view site) { return Fnv1a(site); }

void PaceBoard::Join(Connection& mate) { mates_.push_back(&mate); }

void PaceBoard::Leave(Connection& mate) {
  std::erase(mates_, &mate);
  std::erase_if(heard_, [&](const News& news) { return news.from == &mate; });
}

void PaceBoard::Publish(const Connection& own, uint64_t line, double pace) {
  const auto at = std::find_if(own_.begin(), own_.end(), [&](const Own& o) {
    return o.from == &own && o.line == line;
  });
  if (at == own_.end()) {
    own_.push_back({&own, line, pace});
  } else {
    at->pace = pace;
  }
  const double sum = OwnPace(line);
  for (size_t i = 0; i < std::min(kTold, mates_.size()); ++i) {
    mates_[next_++ % mates_.size()]->TellPace(line, sum);
  }
}

void PaceBoard::Withdraw(const Connection& own) {
  std::erase_if(own_, [&](const Own& o) { return o.from == &own; });
}

void PaceBoard::Heard(const Connection& mate, uint64_t line, double pace,
                      TimePoint now) {
  const auto at = std::find_if(heard_.begin(), heard_.end(), [&](auto& news) {
    return news.from == &mate && news.line == line;
  });
  if (at != heard_.end()) {
    at->pace = pace;
    at->at = now;
  } else if (heard_.size() < kMostHeard) {
    heard_.push_back({&mate, line, pace, now});
  }
}

double PaceBoard::OwnPace(uint64_t line) const {
  double sum = 0;
  for (const Own& o : own_) sum += o.line == line ? o.pace : 0;
  return sum;
}

double PaceBoard::Share(uint64_t line, TimePoint now) const {
  const double own = OwnPace(line);
  double sum = own;
  double count = 1;
  for (const News& news : heard_) {
    if (news.line != line || news.pace <= 0 || now - news.at > kFresh) continue;
    sum += news.pace;
    ++count;
  }
  if (own <= 0 || count == 1) return 1;
  return std::clamp(sum / count / own, kLeastShare, 1 / kLeastShare);
}

}  // namespace longhaul
