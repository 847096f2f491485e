// Sums of many numbers by key without rounding.
#pragma once

#include <cstddef>
#include <vector>

#include "whole_numbers.h"

namespace softmaxlib {

// Sums values, all finite and at most 2^31 of them, by their keys in [0, keys). Gives one sum or more for each key that
// occurs. False, and none, where keys and exponents are too many for a table. Throws std::bad_alloc.
bool sum_by_key(const int64_t* key, const double* value, size_t count, int64_t keys, std::vector<KeySum>& found);

}  // namespace softmaxlib
