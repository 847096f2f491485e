// The sum of many numbers without rounding.
#pragma once

#include <cstddef>
#include <vector>

#include "whole_numbers.h"

namespace softmaxlib {

class RowSum {
    Wide sums_[most_windows] = {};

    void put(double value);
    void cut_chunk(double* rest, size_t count);

  public:
    // Adds finite numbers.
    void add(const double* value, size_t count);
    // Appends the sums that are not 0. Throws std::bad_alloc.
    void append_to(std::vector<KeySum>& found, int64_t key) const;
};

}  // namespace softmaxlib
