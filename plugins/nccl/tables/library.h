// A plugin as NCCL opens it: by path, its symbols hidden from the program.
//
// Thread-compatible.
#pragma once

#include <longhaul/status.h>

#include <memory>
#include <string>

namespace longhaul::nccl {

class Library {
 public:
  /// kInvalidArgument with the loader's words if it cannot be opened.
  static Result<Library> Open(const std::string& path);

  /// Null if there is no such symbol.
  const void* Find(const std::string& name) const;

 private:
  /// Closes it, as NCCL does when the last communicator is gone.
  struct Closer {
    void operator()(void* handle) const;
  };
  explicit Library(void* handle) : handle_(handle) {}

  std::unique_ptr<void, Closer> handle_;
};

}  // namespace longhaul::nccl
