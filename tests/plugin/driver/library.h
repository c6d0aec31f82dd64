// The plugin as NCCL opens it: by path, its symbols hidden from the program.
//
// Thread-compatible.
#pragma once

#include <string>

namespace longhaul::nccl {

class Library {
 public:
  /// Ends the program with the loader's words if it cannot be opened.
  explicit Library(const std::string& path);
  /// Closes it, as NCCL does when the last communicator is gone.
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  /// Null if there is no such symbol.
  const void* Find(const std::string& name) const;

 private:
  void* handle_;
};

}  // namespace longhaul::nccl
