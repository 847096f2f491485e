// Doubles as whole multiples of the smallest subnormal number, and sums of them without rounding.
#pragma once

#include <cstdint>
#include <cstring>

namespace softmaxlib {

__extension__ typedef __int128 Wide;

// (high * 2^64 + low) * 2^shift of the smallest subnormal number, 2^-1074.
struct KeySum {
    int64_t key, shift, high;
    uint64_t low;
};

// significand * 2^shift of it.
struct Whole {
    int64_t significand;
    int shift;
};
inline Whole whole_of(double value) {
    uint64_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const int exponent = static_cast<int>(bits >> 52 & 0x7FF);
    const int64_t fraction = static_cast<int64_t>(bits & ((uint64_t{1} << 52) - 1));
    const int64_t size = exponent ? fraction | int64_t{1} << 52 : fraction;
    return {bits >> 63 ? -size : size, exponent ? exponent - 1 : 0};
}

// Exponents are taken together by 32: a significand of 53 bits is then moved by 31 at most, and 2^42 of them fit.
constexpr int window_bits = 5, most_windows = (1 << 11) >> window_bits;
inline int window_of(Whole whole) { return whole.shift >> window_bits; }
inline Wide within_window(Whole whole) {
    return static_cast<Wide>(whole.significand) * (int64_t{1} << (whole.shift & ((1 << window_bits) - 1)));
}
inline KeySum key_sum(int64_t key, int64_t window, Wide sum) {
    return {key, window * (1 << window_bits), static_cast<int64_t>(sum >> 64), static_cast<uint64_t>(sum)};
}

}  // namespace softmaxlib
