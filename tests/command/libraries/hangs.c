// A library whose start-up code does not come to its end.
#include <unistd.h>

__attribute__((constructor)) static void Start(void) {
  for (;;) pause();
}
