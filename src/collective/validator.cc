#include "collective/validator.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/text.h"

namespace longhaul {
namespace {

const char* NameOf(StepKind kind) {
  switch (kind) {
    case StepKind::kSend:
      return "send";
    case StepKind::kRecv:
      return "receive";
    case StepKind::kReduce:
      return "reduce";
    case StepKind::kCopy:
      return "copy";
    case StepKind::kEncode:
      return "encode";
    case StepKind::kDecode:
      return "decode";
  }
  return "?";
}

bool Moves(StepKind kind) {
  return kind == StepKind::kSend || kind == StepKind::kRecv;
}

bool IsCode(const Extent& extent) { return extent.space == Space::kCodes; }

// In place, input and output are one memory.
Space MemoryOf(const Extent& extent) {
  return extent.space == Space::kInput ? Space::kOutput : extent.space;
}

bool Touch(const Extent& a, const Extent& b) {
  return MemoryOf(a) == MemoryOf(b) && a.offset < b.offset + b.count &&
         b.offset < a.offset + a.count;
}

bool TouchInPart(const Extent& a, const Extent& b) {
  return Touch(a, b) && (a.offset != b.offset || a.count != b.count);
}

class Validator {
 public:
  Validator(const Schedule& schedule, Rank self, Rank size)
      : schedule_(schedule), self_(self), size_(size) {}

  Status Run() {
    for (uint32_t i = 0; i < schedule_.steps.size(); ++i) {
      const Step& step = schedule_.steps[i];
      Status s = CheckTables(i, step);
      if (s.ok()) s = CheckOperands(i, step);
      if (s.ok()) s = CheckExtents(i, step);
      if (s.ok()) s = CheckCodes(i, step);
      if (!s.ok()) return s;
    }
    Status s = CheckMessages();
    if (!s.ok()) return s;
    return CheckRaces();
  }

 private:
  Status Bad(uint32_t index, const std::string& what) const {
    return {StatusCode::kInvalidArgument,
            Text("rank %d, step %u (%s): ", self_, index,
                 NameOf(schedule_.steps[index].kind)) +
                what};
  }

  Status CheckTables(uint32_t i, const Step& step) const {
    if (uint64_t{step.first_source} + step.source_count >
        schedule_.sources.size()) {
      return Bad(i, "its sources are out of range");
    }
    if (uint64_t{step.first_dependency} + step.dependency_count >
        schedule_.dependencies.size()) {
      return Bad(i, "its dependencies are out of range");
    }
    for (const uint32_t d : schedule_.DependenciesOf(step)) {
      if (d >= i) return Bad(i, Text("depends on step %u", d));
    }
    return {};
  }

  Status CheckOperands(uint32_t i, const Step& step) const {
    const bool good_peer =
        step.peer >= 0 && step.peer < size_ && step.peer != self_;
    if (Moves(step.kind) ? !good_peer : step.peer != -1) {
      return Bad(i, Text("its peer is %d", step.peer));
    }
    const uint32_t n = step.source_count;
    const bool adds =
        step.kind == StepKind::kReduce || step.kind == StepKind::kDecode;
    const bool good_count = step.kind == StepKind::kRecv ? n == 0
                            : adds                       ? n >= 1
                                                         : n == 1;
    if (!good_count) return Bad(i, Text("it has %u sources", n));
    if (step.final && !adds && step.kind != StepKind::kEncode) {
      return Bad(i, "only sums are final");
    }
    return {};
  }

  uint64_t LimitOf(Space space) const {
    switch (space) {
      case Space::kScratch:
        return schedule_.scratch_count;
      case Space::kCodes:
        return schedule_.code_count;
      case Space::kInput:
      case Space::kOutput:
        break;
    }
    return schedule_.count;
  }
  bool Fits(const Extent& extent) const {
    const uint64_t limit = LimitOf(extent.space);
    return extent.offset <= limit && extent.count <= limit - extent.offset;
  }

  Status CheckExtents(uint32_t i, const Step& step) const {
    for (const Extent& source : schedule_.SourcesOf(step)) {
      if (!Fits(source)) return Bad(i, "a source is out of range");
    }
    if (step.kind == StepKind::kSend) return {};
    const Extent& target = step.target;
    if (!Fits(target)) return Bad(i, "its target is out of range");
    if (target.space == Space::kInput) return Bad(i, "it writes the input");
    for (const Extent& source : schedule_.SourcesOf(step)) {
      if (source.count != target.count) {
        return Bad(i, "a source and the target differ in length");
      }
      if (Touch(source, target) && source.offset != target.offset) {
        return Bad(i, "its target overlaps a source in part");
      }
    }
    return {};
  }

  // Codes are made by encode and receive, and read by decode and send.
  Status CheckCodes(uint32_t i, const Step& step) const {
    const bool decodes = step.kind == StepKind::kDecode;
    for (const Extent& source : schedule_.SourcesOf(step)) {
      if (IsCode(source) ? !decodes && step.kind != StepKind::kSend : decodes) {
        return Bad(i, decodes ? "decodes what is no code" : "reads a code");
      }
      if (!CodeIsWhole(source)) return Bad(i, "a source is no whole code");
    }
    if (step.kind == StepKind::kSend) return {};
    const bool encodes = step.kind == StepKind::kEncode;
    if (IsCode(step.target) ? !encodes && step.kind != StepKind::kRecv
                            : encodes) {
      return Bad(i, encodes ? "encodes into what is no code" : "writes a code");
    }
    if (!CodeIsWhole(step.target)) return Bad(i, "its target is no whole code");
    return {};
  }
  bool CodeIsWhole(const Extent& extent) const {
    return !IsCode(extent) || extent.offset % kCodeGrain == 0;
  }

  Status CheckMessages() const {
    std::vector<std::tuple<StepKind, Rank, uint32_t, uint32_t>> keys;
    for (uint32_t i = 0; i < schedule_.steps.size(); ++i) {
      const Step& step = schedule_.steps[i];
      if (!Moves(step.kind)) continue;
      keys.emplace_back(step.kind, step.peer, step.message, i);
    }
    std::sort(keys.begin(), keys.end());
    for (size_t i = 1; i < keys.size(); ++i) {
      const auto& [kind, peer, message, index] = keys[i];
      const auto& [kind0, peer0, message0, index0] = keys[i - 1];
      if (kind == kind0 && peer == peer0 && message == message0) {
        return Bad(index, Text("step %u has the same peer and message number",
                               index0));
      }
    }
    return {};
  }

  // before_[i]: the steps that are complete before step i starts, as bits.
  void Close() {
    const size_t n = schedule_.steps.size();
    words_ = (n + 63) / 64;
    before_.assign(n * words_, 0);
    for (size_t i = 0; i < n; ++i) {
      uint64_t* row = &before_[i * words_];
      for (const uint32_t d : schedule_.DependenciesOf(schedule_.steps[i])) {
        const uint64_t* other = &before_[d * words_];
        for (size_t w = 0; w < words_; ++w) row[w] |= other[w];
        row[d / 64] |= uint64_t{1} << (d % 64);
      }
    }
  }
  bool Before(uint32_t a, uint32_t b) const {
    return (before_[b * words_ + a / 64] >> (a % 64) & 1) != 0;
  }

  struct Access {
    Extent extent;
    uint32_t step;
    bool writes;
    bool to_own_place = false;  // a copy's: in place, it is not made
  };

  static bool Race(const Access& a, const Access& b) {
    if ((!a.writes && !b.writes) || a.step == b.step) return false;
    return !(a.to_own_place && b.extent.space == Space::kInput) &&
           !(b.to_own_place && a.extent.space == Space::kInput);
  }
  bool ToOwnPlace(const Step& step) const {
    if (step.kind != StepKind::kCopy) return false;
    const Extent& source = schedule_.SourcesOf(step)[0];
    return source.space == Space::kInput &&
           step.target.space == Space::kOutput &&
           source.offset == step.target.offset;
  }

  std::vector<Access> Accesses() const {
    std::vector<Access> all;
    for (uint32_t i = 0; i < schedule_.steps.size(); ++i) {
      const Step& step = schedule_.steps[i];
      for (const Extent& source : schedule_.SourcesOf(step)) {
        if (source.count > 0) all.push_back({source, i, false});
      }
      if (step.kind != StepKind::kSend && step.target.count > 0) {
        all.push_back({step.target, i, true, ToOwnPlace(step)});
      }
    }
    std::sort(all.begin(), all.end(), [](const Access& a, const Access& b) {
      return std::tuple(MemoryOf(a.extent), a.extent.offset, a.step) <
             std::tuple(MemoryOf(b.extent), b.extent.offset, b.step);
    });
    return all;
  }

  Status CheckRaces() {
    Close();
    const std::vector<Access> all = Accesses();
    for (size_t i = 0; i < all.size(); ++i) {
      for (size_t j = i + 1;
           j < all.size() && Touch(all[i].extent, all[j].extent); ++j) {
        const auto [a, b] = std::minmax(all[i].step, all[j].step);
        if (IsCode(all[i].extent) &&
            TouchInPart(all[i].extent, all[j].extent)) {
          return Bad(b, Text("touches a code of step %u in part", a));
        }
        if (!Race(all[i], all[j])) continue;
        if (!Before(a, b)) {
          return Bad(
              b, Text("touches the same memory as step %u, in no order", a));
        }
      }
    }
    return {};
  }

  const Schedule& schedule_;
  Rank self_;
  Rank size_;
  size_t words_ = 0;
  std::vector<uint64_t> before_;
};

}  // namespace

Status ValidateSchedule(const Schedule& schedule, Rank self, Rank size) {
  return Validator(schedule, self, size).Run();
}

}  // namespace longhaul
