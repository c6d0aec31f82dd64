#include "plugin/driver/library.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

namespace longhaul::nccl {

Library::Library(const std::string& path)
    : handle_(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
  if (handle_) return;
  std::fprintf(stderr, "%s\n", dlerror());
  std::exit(1);
}

Library::~Library() { dlclose(handle_); }

const void* Library::Find(const std::string& name) const {
  return dlsym(handle_, name.c_str());
}

}  // namespace longhaul::nccl
