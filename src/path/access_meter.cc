#include "path/access_meter.h"

#include <algorithm>

namespace longhaul {

void AccessMeter::Look(TimePoint now, uint64_t confirmed, uint64_t came,
                       bool busy) {
  if (now - looked_ > kWindow) {  // nothing was going on
    began_ = now;
    confirmed_ = came_ = 0;
    full_ = true;
    last_full_ = 0;
  } else if (now - began_ >= kWindow) {
    EndWindow(static_cast<double>(now - began_) / kSecond);
    began_ = now;
    confirmed_ = came_ = 0;
    full_ = true;
  }
  looked_ = now;
  confirmed_ += confirmed;
  came_ += came;
  full_ = full_ && busy;
}

void AccessMeter::EndWindow(double seconds) {
  const double up = static_cast<double>(confirmed_) / seconds;
  down_ = std::max(down_, static_cast<double>(came_) / seconds);
  if (!full_) {
    up_ = std::max(up_, up);
    last_full_ = 0;
    return;
  }
  up_ = last_full_ > 0 ? (up + last_full_) / 2 : std::max(up_, up);
  last_full_ = up;
}

}  // namespace longhaul
