// A library with NCCL's version call, and a start-up code that talks.
#include <stdio.h>

__attribute__((constructor)) static void Start(void) {
  puts("version 1");
  fflush(stdout);
}

__attribute__((visibility("default"))) int ncclGetVersion(int* version) {
  *version = 22809;
  return 0;
}
