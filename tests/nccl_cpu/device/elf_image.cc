#include "device/elf_image.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

namespace nccl_cpu {
namespace {

// `size` bytes of the file at `offset`; empty where it does not have them.
std::span<const char> Section(std::span<const char> file, uint64_t offset,
                              uint64_t size) {
  if (offset > file.size() || size > file.size() - offset) return {};
  return file.subspan(offset, size);
}

template <typename T>
std::span<const T> TableOf(std::span<const char> bytes) {
  return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
}

bool IsElf64(std::span<const char> file) {
  return file.size() > sizeof(Elf64_Ehdr) &&
         memcmp(file.data(), ELFMAG, SELFMAG) == 0 &&
         file[EI_CLASS] == ELFCLASS64;
}

}  // namespace

ElfImage::ElfImage(const std::string& path, uintptr_t base) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  struct stat status {};
  void* map = MAP_FAILED;
  size_t size = 0;
  if (fstat(fd, &status) == 0 && status.st_size > 0) {
    size = static_cast<size_t>(status.st_size);
    map = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  }
  close(fd);
  if (map == MAP_FAILED) return;
  Read({static_cast<const char*>(map), size}, base);
  munmap(map, size);
  Index();
}

void ElfImage::Read(std::span<const char> file, uintptr_t base) {
  if (!IsElf64(file)) return;
  const auto& header = *reinterpret_cast<const Elf64_Ehdr*>(file.data());
  const auto sections = TableOf<Elf64_Shdr>(
      Section(file, header.e_shoff, header.e_shnum * sizeof(Elf64_Shdr)));
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_SYMTAB && section.sh_type != SHT_DYNSYM) {
      continue;
    }
    if (section.sh_link >= sections.size()) continue;
    const Elf64_Shdr& names = sections[section.sh_link];
    const auto strings = Section(file, names.sh_offset, names.sh_size);
    for (const Elf64_Sym& symbol : TableOf<Elf64_Sym>(
             Section(file, section.sh_offset, section.sh_size))) {
      const int type = ELF64_ST_TYPE(symbol.st_info);
      const bool wanted = type == STT_FUNC || type == STT_OBJECT;
      if (!wanted || symbol.st_shndx == SHN_UNDEF ||
          symbol.st_name >= strings.size()) {
        continue;
      }
      const auto name = strings.subspan(symbol.st_name);
      symbols_.push_back(
          {std::string(name.data(), strnlen(name.data(), name.size())),
           base + symbol.st_value, symbol.st_size, type == STT_FUNC});
    }
  }
}

void ElfImage::Index() {
  for (size_t i = 0; i < symbols_.size(); ++i) {
    by_name_.emplace(symbols_[i].name, i);
    if (symbols_[i].is_function) by_address_.emplace(symbols_[i].address, i);
  }
}

const ElfImage::Symbol* ElfImage::Find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &symbols_[found->second];
}

const ElfImage::Symbol* ElfImage::FunctionAt(uintptr_t address) const {
  const auto found = by_address_.find(address);
  return found == by_address_.end() ? nullptr : &symbols_[found->second];
}

}  // namespace nccl_cpu
