#include "device/redirect.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "device/elf_image.h"
#include "kernel/nccl_abi.h"

namespace nccl_cpu {
namespace {

struct LoadedObject {
  std::string path;
  uintptr_t base;
};

struct State {
  std::mutex mutex;
  std::set<std::string> seen;
  std::unique_ptr<ElfImage> nccl;
  const int* row_to_id = nullptr;
};

State& TheState() {
  static State* const state = new State;
  return *state;
}

Dl_info OwnInfo() {
  Dl_info info{};
  dladdr(reinterpret_cast<void*>(&RedirectLoadedObjects), &info);
  return info;
}

void* OwnHandle() {
  static void* const handle =
      dlopen(OwnInfo().dli_fname, RTLD_NOW | RTLD_NOLOAD);
  return handle;
}

// x86-64: jmp *0(%rip), then the absolute address.
constexpr unsigned char kJump[] = {0xff, 0x25, 0, 0, 0, 0};
constexpr size_t kJumpSize = sizeof kJump + sizeof(void*);

bool WriteJump(uintptr_t from, const void* to) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = from & ~(page - 1);
  const uintptr_t end = (from + kJumpSize + page - 1) & ~(page - 1);
  auto* pages = reinterpret_cast<void*>(begin);
  if (mprotect(pages, end - begin, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) {
    return false;
  }
  auto* code = reinterpret_cast<char*>(from);
  memcpy(code, kJump, sizeof kJump);
  memcpy(code + sizeof kJump, &to, sizeof to);
  return mprotect(pages, end - begin, PROT_READ | PROT_EXEC) == 0;
}

void CheckNcclVersion(const std::string& path) {
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD);
  int version = 0;
  if (handle != nullptr) {
    auto* get =
        reinterpret_cast<int (*)(int*)>(dlsym(handle, "ncclGetVersion"));
    if (get != nullptr) get(&version);
    dlclose(handle);
  }
  if (version == nccl_abi::kNcclVersionCode) return;
  fprintf(stderr, "nccl_cpu: %s is NCCL version code %d, only %d is known\n",
          path.c_str(), version, nccl_abi::kNcclVersionCode);
  abort();
}

bool IsRuntimeFunction(const ElfImage::Symbol& symbol) {
  return symbol.is_function && symbol.size >= kJumpSize &&
         (symbol.name.starts_with("cuda") ||
          symbol.name.starts_with("__cudaLaunchKernel") ||
          symbol.name.starts_with("__cudaPushCall") ||
          symbol.name.starts_with("__cudaPopCall"));
}

// How many functions were redirected.
size_t RedirectFunctions(const ElfImage& image, const std::string& path) {
  std::set<uintptr_t> done;
  for (const ElfImage::Symbol& symbol : image.symbols()) {
    if (!IsRuntimeFunction(symbol)) continue;
    void* ours = dlsym(OwnHandle(), symbol.name.c_str());
    if (ours == nullptr ||
        reinterpret_cast<uintptr_t>(ours) == symbol.address ||
        !done.insert(symbol.address).second) {
      continue;
    }
    if (!WriteJump(symbol.address, ours)) {
      fprintf(stderr, "nccl_cpu: cannot redirect %s in %s\n",
              symbol.name.c_str(), path.c_str());
      abort();
    }
  }
  return done.size();
}

void RedirectObject(State& state, const LoadedObject& object) {
  if (object.base == reinterpret_cast<uintptr_t>(OwnInfo().dli_fbase)) return;
  auto image = std::make_unique<ElfImage>(object.path, object.base);
  // An object with a runtime of its own defines this one, whatever else it
  // uses.
  const auto* marker = image->Find("cudaGetDriverEntryPointByVersion");
  if (marker == nullptr || !marker->is_function) return;
  const auto* rows = image->Find("ncclDevFuncRowToId");
  if (rows != nullptr) CheckNcclVersion(object.path);
  const size_t count = RedirectFunctions(*image, object.path);
  if (getenv("NCCL_CPU_DEBUG") != nullptr) {
    fprintf(stderr, "nccl_cpu: redirected %zu CUDA runtime functions of %s\n",
            count, object.path.c_str());
  }
  if (rows != nullptr) {
    state.row_to_id = reinterpret_cast<const int*>(rows->address);
    state.nccl = std::move(image);
  }
}

std::string ProgramPath() {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  return length > 0 ? std::string(path, static_cast<size_t>(length)) : "";
}

int AddObject(dl_phdr_info* info, size_t, void* out) {
  std::string path = info->dlpi_name;
  if (path.empty()) path = ProgramPath();
  static_cast<std::vector<LoadedObject>*>(out)->push_back(
      {path, info->dlpi_addr});
  return 0;
}

__attribute__((constructor)) void AtLoad() { RedirectLoadedObjects(); }

}  // namespace

void RedirectLoadedObjects() {
  std::vector<LoadedObject> objects;
  dl_iterate_phdr(AddObject, &objects);
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  for (const LoadedObject& object : objects) {
    if (object.path.empty() || !state.seen.insert(object.path).second) continue;
    RedirectObject(state, object);
  }
}

KernelSymbol KernelSymbolAt(const void* host_stub) {
  State& state = TheState();
  const std::lock_guard lock(state.mutex);
  if (state.nccl == nullptr) return {};
  const auto* symbol =
      state.nccl->FunctionAt(reinterpret_cast<uintptr_t>(host_stub));
  if (symbol == nullptr) return {};
  return {symbol->name, state.row_to_id};
}

}  // namespace nccl_cpu

// Objects loaded later: a plugin or an extension with a runtime of its own, or
// libnccl itself.
extern "C" __attribute__((visibility("default"))) void* dlopen(const char* file,
                                                               int mode) {
  using Function = void* (*)(const char*, int);
  static const auto real =
      reinterpret_cast<Function>(dlsym(RTLD_NEXT, "dlopen"));
  void* handle = real(file, mode);
  if (handle != nullptr && file != nullptr && (mode & RTLD_NOLOAD) == 0) {
    nccl_cpu::RedirectLoadedObjects();
  }
  return handle;
}
