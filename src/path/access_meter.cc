#include "path/access_meter.h"

namespace longhaul {

void AccessMeter::Look(TimePoint now, Duration round_trip, uint64_t confirmed,
                       uint64_t came, bool busy) {
  length_ = std::max(length_, std::clamp(2 * round_trip, kShortest, kLongest));
  if (now - looked_ > length_) {  // nothing was going on
    last_full_ = false;
    BeginWindow(now);
  } else if (now - began_ >= length_) {
    EndWindow(now);
    BeginWindow(now);
  }
  looked_ = now;
  confirmed_ += confirmed;
  came_ += came;
  full_ = full_ && busy;
}

void AccessMeter::BeginWindow(TimePoint now) {
  began_ = now;
  confirmed_ = came_ = 0;
  full_ = true;
}

// What is confirmed in a window was sent up to a round trip before it: a full
// one counts only behind another one.
void AccessMeter::EndWindow(TimePoint now) {
  if (now - now_.began > kLately) {
    before_ = now_;
    now_ = {};
    now_.began = now;
  }
  const double seconds = static_cast<double>(now - began_) / kSecond;
  now_.up = std::max(now_.up, static_cast<double>(confirmed_) / seconds);
  now_.down = std::max(now_.down, static_cast<double>(came_) / seconds);
  now_.full = now_.full || (full_ && last_full_);
  last_full_ = full_;
}

}  // namespace longhaul
