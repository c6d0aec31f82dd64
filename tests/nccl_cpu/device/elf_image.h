// The symbol tables of a loaded object, read from its file: .symtab, with the
// local symbols, and .dynsym.
//
// Immutable once made; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace nccl_cpu {

class ElfImage {
 public:
  struct Symbol {
    std::string name;
    uintptr_t address = 0;  ///< in this process
    size_t size = 0;        ///< bytes
    bool is_function = false;
  };

  /// `base` is where the object is loaded (dl_phdr_info::dlpi_addr). Empty when
  /// the file cannot be read.
  ElfImage(const std::string& path, uintptr_t base);

  const std::vector<Symbol>& symbols() const { return symbols_; }
  const Symbol* Find(const std::string& name) const;
  /// The function that starts exactly there.
  const Symbol* FunctionAt(uintptr_t address) const;

 private:
  void Read(std::span<const char> file, uintptr_t base);
  void Index();

  std::vector<Symbol> symbols_;
  std::unordered_map<std::string, size_t> by_name_;
  std::unordered_map<uintptr_t, size_t> by_address_;
};

}  // namespace nccl_cpu
