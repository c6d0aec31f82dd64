#include "codec/lossless_plan.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace longhaul {
namespace {

constexpr unsigned kSymbols = 256;
constexpr unsigned kWidest = 4;
// Symbols of a level that is not the last, and of all such levels together.
constexpr unsigned kMostInLevel = (1U << kWidest) - 1;
constexpr unsigned kCoded = LosslessPlan::kMostLevels * kMostInLevel;
constexpr size_t kDepth = LosslessPlan::kMostLevels + 1;

// What to do with the symbols from a rank on, by ranks of frequency.
struct Choice {
  uint32_t bytes;
  uint8_t width;  // 0: the end
  bool last;
};

class Planner {
 public:
  explicit Planner(std::span<const uint32_t, kSymbols> counts) {
    for (unsigned symbol = 0; symbol < kSymbols; ++symbol) {
      // Of equally frequent symbols the greater one comes first, anywhere.
      if (counts[symbol] != 0) {
        ranked_[used_++] = counts[symbol] << 8 | symbol;
      }
    }
    const unsigned sorted = std::min(used_, kCoded + 1);
    std::partial_sort(ranked_.begin(), ranked_.begin() + sorted,
                      ranked_.begin() + used_, std::greater<>());
    left_[0] = std::accumulate(counts.begin(), counts.end(), 0U);
    for (unsigned rank = 0; rank < sorted; ++rank) {
      left_[rank + 1] = left_[rank] - (ranked_[rank] >> 8);
    }
  }

  LosslessPlan Make() {
    for (size_t depth = kDepth; depth > 0; --depth) {
      const unsigned reach =
          std::min(used_, static_cast<unsigned>(depth - 1) * kMostInLevel);
      for (unsigned rank = 0; rank <= reach; ++rank) {
        best_[depth - 1][rank] = BestAt(depth - 1, rank);
      }
    }
    LosslessPlan plan;
    plan.bytes = best_[0][0].bytes;
    Write(plan);
    return plan;
  }

 private:
  Choice BestAt(size_t depth, unsigned rank) const {
    const unsigned symbols = used_ - rank;
    if (symbols <= 1) return {2, 0, true};
    Choice best{1 + left_[rank], 0, true};
    if (depth == LosslessPlan::kMostLevels) return best;
    for (unsigned width = 1; width <= kWidest; ++width) {
      const unsigned codes = 1U << width;
      uint32_t bytes = width * ((left_[rank] + 7) / 8);
      const bool last = symbols <= codes;
      if (last) {
        bytes += 1 + codes;
      } else {
        bytes += codes + best_[depth + 1][rank + codes - 1].bytes;
      }
      if (bytes < best.bytes) {
        best = {bytes, static_cast<uint8_t>(width), last};
      }
    }
    return best;
  }

  void Write(LosslessPlan& plan) const {
    unsigned rank = 0;
    while (true) {
      const Choice& choice = best_[plan.level_count][rank];
      if (choice.width == 0) {
        plan.end = used_ - rank <= 1 ? LosslessPlan::End::kSame
                                     : LosslessPlan::End::kBytes;
        plan.same = rank < used_ ? SymbolAt(rank) : uint8_t{0};
        return;
      }
      LosslessLevel& level = plan.levels[plan.level_count++];
      level = {};
      level.width = choice.width;
      level.last = choice.last;
      level.symbol_count =
          choice.last ? used_ - rank : (1U << choice.width) - 1;
      for (unsigned i = 0; i < level.symbol_count; ++i) {
        level.symbols[i] = SymbolAt(rank++);
      }
      if (choice.last) return;
    }
  }

  uint8_t SymbolAt(unsigned rank) const {
    return static_cast<uint8_t>(ranked_[rank] & 0xffU);
  }

  // Frequency and symbol; in order as far as codes may reach.
  std::array<uint32_t, kSymbols> ranked_;
  std::array<uint32_t, kCoded + 2> left_;
  std::array<std::array<Choice, kCoded + 1>, kDepth> best_;
  unsigned used_ = 0;
};

}  // namespace

LosslessPlan PlanLossless(std::span<const uint32_t, 256> counts) noexcept {
  return Planner(counts).Make();
}

}  // namespace longhaul
