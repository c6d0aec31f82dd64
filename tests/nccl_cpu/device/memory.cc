#include "device/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <iterator>
#include <map>
#include <mutex>

namespace nccl_cpu {
namespace {

struct Allocation {
  MemoryInfo info;
  bool ours;
};

struct Table {
  std::mutex mutex;
  std::map<char*, Allocation> allocations;  // by their start
};

Table& TheTable() {
  static Table* const table = new Table;
  return *table;
}

size_t WholePages(size_t size) {
  static const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (size + page - 1) / page * page;
}

// Removes the allocation at `base` if there is one and `ours` fits.
bool Remove(void* base, bool ours) {
  Table& table = TheTable();
  const std::lock_guard lock(table.mutex);
  const auto found = table.allocations.find(static_cast<char*>(base));
  if (found == table.allocations.end() || found->second.ours != ours) {
    return false;
  }
  if (ours) munmap(base, WholePages(found->second.info.size));
  table.allocations.erase(found);
  return true;
}

}  // namespace

void* Allocate(size_t size, MemoryKind kind, int device) {
  if (size == 0) size = 1;
  void* pages = mmap(nullptr, WholePages(size), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return nullptr;
  auto* base = static_cast<char*>(pages);
  Table& table = TheTable();
  const std::lock_guard lock(table.mutex);
  table.allocations[base] = {{kind, base, size, device}, true};
  return pages;
}

bool Release(void* base) { return Remove(base, true); }

bool Adopt(void* base, size_t size, int device) {
  auto* start = static_cast<char*>(base);
  Table& table = TheTable();
  const std::lock_guard lock(table.mutex);
  return table.allocations
      .try_emplace(start,
                   Allocation{{MemoryKind::kHost, start, size, device}, false})
      .second;
}

bool Disown(void* base) { return Remove(base, false); }

MemoryInfo Lookup(const void* pointer) {
  Table& table = TheTable();
  const std::lock_guard lock(table.mutex);
  const auto* address = static_cast<const char*>(pointer);
  const auto above = table.allocations.upper_bound(const_cast<char*>(address));
  if (above == table.allocations.begin()) return {};
  const MemoryInfo& info = std::prev(above)->second.info;
  return address < info.base + info.size ? info : MemoryInfo{};
}

}  // namespace nccl_cpu
