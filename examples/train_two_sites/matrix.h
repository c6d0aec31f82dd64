// Products of dense matrices, which are nearly all of the training's work.
//
// Row-major f32, no gaps between rows. Pure functions; any thread.
#pragma once

#include <cstddef>

namespace train {

/// c += a b; a has rows x depth elements, b depth x columns, c rows x columns.
void AddProduct(const float* a, const float* b, float* c, size_t rows,
                size_t depth, size_t columns);

/// to[j][i] = from[i][j]; `from` has rows x columns elements.
void Transpose(const float* from, float* to, size_t rows, size_t columns);

}  // namespace train
