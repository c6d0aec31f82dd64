// The processor's default floating-point mode for the length of a scope: round
// to nearest even, subnormals kept, no traps. A caller may have set others (as
// frameworks do to flush subnormals), and results must not depend on it.
//
// Thread-compatible: the mode belongs to the thread.
#pragma once

#include <cstdint>
#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace longhaul {

class DefaultFloatMode {
 public:
  DefaultFloatMode() : saved_(Read()) {
    if ((saved_ & kControl) != kDefault) Write(kDefault);
  }
  ~DefaultFloatMode() {
    if ((saved_ & kControl) != kDefault) Write(saved_);
  }
  DefaultFloatMode(const DefaultFloatMode&) = delete;
  DefaultFloatMode& operator=(const DefaultFloatMode&) = delete;

 private:
#if defined(__x86_64__)
  using Word = uint32_t;                     // MXCSR
  static constexpr Word kControl = ~0x3fU;   // the rest are sticky flags
  static constexpr Word kDefault = 0x1f80U;  // all exceptions masked
  static Word Read() { return _mm_getcsr(); }
  static void Write(Word word) { _mm_setcsr(word); }
#elif defined(__aarch64__)
  using Word = uint64_t;  // FPCR
  static constexpr Word kControl = ~Word{0};
  static constexpr Word kDefault = 0;
  static Word Read() {
    Word word;
    asm volatile("mrs %0, fpcr" : "=r"(word));
    return word;
  }
  static void Write(Word word) { asm volatile("msr fpcr, %0" : : "r"(word)); }
#else
  using Word = uint32_t;
  static constexpr Word kControl = 0;
  static constexpr Word kDefault = 0;
  static Word Read() { return 0; }
  static void Write(Word) {}
#endif

  Word saved_;
};

}  // namespace longhaul
