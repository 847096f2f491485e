// The order of numbers, from the least to the largest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace softmaxlib {

// A whole number that rises with the value; of -0 that of 0.
inline uint64_t rank_of(double value) {
    uint64_t bits;
    value += 0.0;
    std::memcpy(&bits, &value, sizeof bits);
    return bits >> 63 ? ~bits : bits | uint64_t{1} << 63;
}

// Writes the places of the values in rising order; equal ones stay in the order of their places. No value is NaN.
// Throws std::bad_alloc.
void rising_order(const double* values, size_t count, int64_t* places);

}  // namespace softmaxlib
