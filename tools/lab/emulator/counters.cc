#include "lab/emulator/counters.h"

#include <algorithm>

namespace longhaul::lab {

void Lateness::Add(int64_t ns) {
  const auto bin = static_cast<size_t>(std::max<int64_t>(0, ns) / kBinNs);
  ++bins_[std::min(bin, bins_.size() - 1)];
  ++count_;
  sum_ += static_cast<double>(ns);
  max_ = std::max(max_, ns);
}

double Lateness::MeanMicroseconds() const {
  if (count_ == 0) return 0;
  return sum_ / static_cast<double>(count_) / 1e3;
}

double Lateness::QuantileMicroseconds(double quantile) const {
  const double wanted = quantile * static_cast<double>(count_);
  uint64_t seen = 0;
  for (size_t i = 0; i < bins_.size(); ++i) {
    seen += bins_[i];
    if (seen > 0 && static_cast<double>(seen) >= wanted) {
      return static_cast<double>((i + 1) * kBinNs) / 1e3;
    }
  }
  return 0;
}

}  // namespace longhaul::lab
