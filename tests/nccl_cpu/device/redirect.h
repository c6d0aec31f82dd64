// How libnccl gets to call this library. libnccl.so.2 contains its own copy of
// the CUDA runtime (libcudart_static). Its entry points are local symbols, so
// the dynamic linker cannot interpose them, but the file's .symtab names them.
// At start-up, or when libnccl is loaded with dlopen(), each such function is
// given a jump, in memory only, to the function of the same name that this
// library exports. The file on disk and all of NCCL's own code stay as they
// are; the real runtime underneath is never initialised and no driver is looked
// for. A runtime function that this library does not export is left alone: it
// tries to load libcuda.so.1, fails, and NCCL reports it by name.
//
// Thread-safe.
#pragma once

#include <string>

namespace nccl_cpu {

/// Looks at every loaded object and redirects what is new. Called at start-up
/// and after each dlopen(). Ends the process when it meets another NCCL than
/// the one it knows.
void RedirectLoadedObjects();

struct KernelSymbol {
  std::string name;  ///< mangled; empty when the address is no known function
  /// libnccl's table ncclDevFuncRowToId, when the kernel is one of libnccl's.
  const int* row_to_id = nullptr;
};
KernelSymbol KernelSymbolAt(const void* host_stub);

}  // namespace nccl_cpu
