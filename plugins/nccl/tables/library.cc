#include "tables/library.h"

#include <dlfcn.h>

namespace longhaul::nccl {

Result<Library> Library::Open(const std::string& path) {
  void* const handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle != nullptr) return Library(handle);
  const char* const why = dlerror();
  return Status(StatusCode::kInvalidArgument,
                why == nullptr ? path + ": cannot be loaded" : why);
}

void Library::Closer::operator()(void* handle) const { dlclose(handle); }

const void* Library::Find(const std::string& name) const {
  return dlsym(handle_.get(), name.c_str());
}

}  // namespace longhaul::nccl
