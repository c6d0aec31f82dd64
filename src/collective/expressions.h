// Sums as trees over the ranks' contributions, each distinct tree stored once:
// equal numbers mean equal operands in equal order. For symbolic.h.
//
// Thread-compatible.
#pragma once

#include <longhaul/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace longhaul {

class Expressions {
 public:
  /// Of an expression. kNothing: memory nobody has written.
  using Id = uint32_t;
  static constexpr Id kNothing = 0;

  explicit Expressions(Rank ranks)
      : ranks_(static_cast<size_t>(ranks)), contributions_(ranks_, 0) {
    nodes_.push_back({0, false});
  }

  /// Rank `rank`'s input element `element`.
  Id Leaf(Rank rank, uint64_t element) {
    const Id id = Intern({kLeaf, static_cast<uint64_t>(rank), element});
    if (id == nodes_.size()) {
      nodes_.push_back({element, false});
      contributions_.resize(contributions_.size() + ranks_, 0);
      contributions_[id * ranks_ + static_cast<size_t>(rank)] = 1;
    }
    return id;
  }

  /// What the operand is after it has been encoded and decoded. kNothing, and
  /// why in `fault()`, if it is nothing.
  Id Code(Id operand);
  /// The operands added in this order; a single one is itself. kNothing, and
  /// why in `fault()`, if one is nothing, is final already, or is of another
  /// element.
  Id Add(std::span<const Id> operands, bool final);

  bool IsFinal(Id id) const { return nodes_[id].final; }
  uint64_t ElementOf(Id id) const { return nodes_[id].element; }
  /// How often each rank's contribution is in it.
  std::span<const uint32_t> ContributionsTo(Id id) const {
    return std::span(contributions_).subspan(id * ranks_, ranks_);
  }
  const char* fault() const { return fault_; }

 private:
  // First word of a key; of a sum, 1 + final.
  static constexpr uint64_t kLeaf = 0;
  static constexpr uint64_t kCode = 3;
  using Key = std::vector<uint64_t>;
  struct HashKey {
    size_t operator()(const Key& key) const {
      uint64_t h = 0;
      for (const uint64_t word : key) {
        h = (h ^ word) * 0x9e3779b97f4a7c15U;
        h ^= h >> 29;
      }
      return h;
    }
  };
  struct Node {
    uint64_t element;
    bool final;
  };

  // The id of the tree with this key; nodes_.size() if it is new.
  Id Intern(Key key) {
    return ids_.emplace(std::move(key), static_cast<Id>(nodes_.size()))
        .first->second;
  }

  size_t ranks_;
  std::unordered_map<Key, Id, HashKey> ids_;
  std::vector<Node> nodes_;
  std::vector<uint32_t> contributions_;  // ranks_ per node
  const char* fault_ = "";
};

inline Expressions::Id Expressions::Code(Id operand) {
  if (operand == kNothing) {
    fault_ = "encodes memory nobody has written";
    return kNothing;
  }
  const Id id = Intern({kCode, operand});
  if (id < nodes_.size()) return id;
  nodes_.push_back(nodes_[operand]);
  for (size_t r = 0; r < ranks_; ++r) {
    contributions_.push_back(contributions_[operand * ranks_ + r]);
  }
  return id;
}

inline Expressions::Id Expressions::Add(std::span<const Id> operands,
                                        bool final) {
  if (operands.size() == 1 && !final) return operands[0];
  Key key = {final ? uint64_t{2} : uint64_t{1}};
  for (const Id operand : operands) {
    fault_ = operand == kNothing ? "reads memory nobody has written"
             : IsFinal(operand)  ? "adds what is final already"
             : ElementOf(operand) != ElementOf(operands[0])
                 ? "adds different elements"
                 : "";
    if (*fault_ != '\0') return kNothing;
    key.push_back(operand);
  }
  const Id id = Intern(std::move(key));
  if (id < nodes_.size()) return id;
  nodes_.push_back({ElementOf(operands[0]), final});
  contributions_.resize(contributions_.size() + ranks_, 0);
  for (const Id operand : operands) {
    for (size_t r = 0; r < ranks_; ++r) {
      contributions_[id * ranks_ + r] += contributions_[operand * ranks_ + r];
    }
  }
  return id;
}

}  // namespace longhaul
