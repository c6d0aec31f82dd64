// A library whose start-up code ends its process.
#include <stdlib.h>

__attribute__((constructor)) static void Start(void) { abort(); }
