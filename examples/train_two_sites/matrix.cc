#include "matrix.h"

#include <algorithm>
#include <cstring>

// In a function that is compiled for a processor, so must be all it calls.
#define TRAIN_INLINE [[gnu::always_inline]] inline

namespace train {
namespace {

constexpr size_t kLanes = 8;
constexpr size_t kWidth = 2 * kLanes;  // columns of a panel
constexpr size_t kDepth = 256;         // rows of it: 16 KiB, half a first cache
constexpr size_t kHeight = 4;  // rows of c at a time: 8 sums, in registers

// Wider than some processors' registers: the compiler makes two of it there.
typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float))));

TRAIN_INLINE void PackPanel(const float* b, size_t columns, size_t depth,
                            size_t width, float* panel) {
  if (width < kWidth) std::memset(panel, 0, depth * kWidth * sizeof(float));
  for (size_t k = 0; k < depth; ++k) {
    std::memcpy(panel + k * kWidth, b + k * columns, width * sizeof(float));
  }
}

// kRows rows of c, `width` columns of it, += as many rows of a times the panel.
template <size_t kRows>
TRAIN_INLINE void AddTile(const float* a, size_t stride, const float* panel,
                          size_t depth, float* c, size_t columns,
                          size_t width) {
  Lanes sums[kRows][2] = {};
  for (size_t k = 0; k < depth; ++k) {
    Lanes low;
    Lanes high;
    std::memcpy(&low, panel + k * kWidth, sizeof low);
    std::memcpy(&high, panel + k * kWidth + kLanes, sizeof high);
    for (size_t i = 0; i < kRows; ++i) {
      sums[i][0] += a[i * stride + k] * low;
      sums[i][1] += a[i * stride + k] * high;
    }
  }
  for (size_t i = 0; i < kRows; ++i) {
    float row[kWidth];
    std::memcpy(row, sums[i], sizeof row);
    for (size_t j = 0; j < width; ++j) c[i * columns + j] += row[j];
  }
}

TRAIN_INLINE void AddProductBody(const float* a, const float* b, float* c,
                                 size_t rows, size_t depth, size_t columns) {
  alignas(64) float panel[kDepth * kWidth];
  for (size_t k = 0; k < depth; k += kDepth) {
    const size_t deep = std::min(kDepth, depth - k);
    for (size_t j = 0; j < columns; j += kWidth) {
      const size_t width = std::min(kWidth, columns - j);
      PackPanel(b + k * columns + j, columns, deep, width, panel);
      size_t i = 0;
      for (; i + kHeight <= rows; i += kHeight) {
        AddTile<kHeight>(a + i * depth + k, depth, panel, deep,
                         c + i * columns + j, columns, width);
      }
      for (; i < rows; ++i) {
        AddTile<1>(a + i * depth + k, depth, panel, deep, c + i * columns + j,
                   columns, width);
      }
    }
  }
}

#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] void AddProductAvx2(const float* a, const float* b,
                                                float* c, size_t rows,
                                                size_t depth, size_t columns) {
  AddProductBody(a, b, c, rows, depth, columns);
}
#endif

}  // namespace

void AddProduct(const float* a, const float* b, float* c, size_t rows,
                size_t depth, size_t columns) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return AddProductAvx2(a, b, c, rows, depth, columns);
  }
#endif
  AddProductBody(a, b, c, rows, depth, columns);
}

void Transpose(const float* from, float* to, size_t rows, size_t columns) {
  constexpr size_t kTile = 16;  // whole cache lines on either side
  for (size_t i = 0; i < rows; i += kTile) {
    const size_t i_end = std::min(i + kTile, rows);
    for (size_t j = 0; j < columns; j += kTile) {
      const size_t j_end = std::min(j + kTile, columns);
      for (size_t y = i; y < i_end; ++y) {
        for (size_t x = j; x < j_end; ++x) {
          to[x * rows + y] = from[y * columns + x];
        }
      }
    }
  }
}

}  // namespace train
