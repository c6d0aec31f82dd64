#include "agreement.h"

namespace longhaul::nccl {

Agreements& Agreements::OfProcess() {
  static auto* const agreements = new Agreements;  // outlives all threads
  return *agreements;
}

void Agreements::Publish(uint64_t comm_id, const Agreement& agreement) {
  if (comm_id == 0) return;
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[comm_id];
  if (entry.groups++ == 0) {
    entry.agreement = agreement;
  } else if (entry.agreement != agreement) {
    entry.contradicted = true;
  }
}

void Agreements::Withdraw(uint64_t comm_id) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(comm_id);
  if (found != entries_.end() && --found->second.groups == 0) {
    entries_.erase(found);
  }
}

std::optional<Agreement> Agreements::Find(uint64_t comm_id) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(comm_id);
  if (found == entries_.end() || found->second.contradicted) return {};
  return found->second.agreement;
}

}  // namespace longhaul::nccl
