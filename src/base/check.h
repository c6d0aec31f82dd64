// Assertions. LH_CHECK always holds the line; LH_DCHECK does in builds with
// LONGHAUL_ASSERTIONS. Both state what must be true of this library's own
// state, never of input: bad input gets a Status.
//
// Any thread.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace longhaul {

[[noreturn]] inline void CheckFailed(const char* file, int line,
                                     const char* what) {
  std::fprintf(stderr, "longhaul: %s:%d: defect: %s\n", file, line, what);
  std::abort();
}

}  // namespace longhaul

#define LH_CHECK(condition) \
  ((condition) ? (void)0    \
               : ::longhaul::CheckFailed(__FILE__, __LINE__, #condition))
#ifdef LONGHAUL_ASSERTIONS
#define LH_DCHECK(condition) LH_CHECK(condition)
#else
#define LH_DCHECK(condition) ((void)sizeof(!(condition)))
#endif
