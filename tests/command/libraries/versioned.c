// A library with NCCL's version call, and a start-up code that talks as the probe does.
#include <stdio.h>

__attribute__((constructor)) static void Start(void) {
  puts("symbol said");
  fflush(stdout);
}

__attribute__((visibility("default"))) int ncclGetVersion(int* version) {
  *version = 22809;
  return 0;
}
