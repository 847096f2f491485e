// The order of numbers, from the least to the largest.
#pragma once

#include <cstddef>
#include <cstdint>

namespace softmaxlib {

// Writes the places of the values in rising order; equal ones stay in the order of their places. No value is NaN.
// Throws std::bad_alloc.
void rising_order(const double* values, size_t count, int64_t* places);

}  // namespace softmaxlib
