// Numbers of every dtype as bits, and rows that try what can go wrong. Basic operations only where the rows must be
// the same on every machine; one draw a statement, since the order within an expression is the compiler's.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

#include "../kernels.h"

namespace driver {

using namespace softmaxlib;

inline const char* name_of(DType type) {
    constexpr const char* names[] = {"float16", "bfloat16", "float32", "float64"};
    return names[static_cast<int>(type)];
}
inline const char* name_of(Function function) { return traits_of(function).name; }
inline int complain(const char* what, Index rows, Index classes) {
    std::printf("other bits by %s for %td rows of %td\n", what, rows, classes);
    return 1;
}

// Digits of the significand and the exponent of the smallest normal number.
struct Format {
    int digits, least, most;
};
inline Format format_of(DType type) {
    constexpr Format formats[] = {{11, -14, 15}, {8, -126, 127}, {24, -126, 127}, {53, -1022, 1023}};
    return formats[static_cast<int>(type)];
}

inline void put(char* at, uint64_t bits, size_t size, bool swapped) {
    for (size_t i = 0; i < size; i++) at[swapped ? size - 1 - i : i] = static_cast<char>(bits >> 8 * i);
}
inline uint64_t take(const char* at, size_t size, bool swapped) {
    uint64_t bits = 0;
    for (size_t i = 0; i < size; i++)
        bits |= uint64_t{static_cast<unsigned char>(at[swapped ? size - 1 - i : i])} << 8 * i;
    return bits;
}

// The number's bits, cut off towards zero where they do not fit, and clamped to the largest number.
inline uint64_t encode(DType type, double x) {
    uint64_t bits;
    std::memcpy(&bits, &x, 8);
    if (type == DType::float64) return bits;
    Format format = format_of(type);
    int fraction = format.digits - 1, width = static_cast<int>(8 * size_of(type));
    uint64_t sign = bits >> 63 << (width - 1), top = ((uint64_t{1} << (width - 1 - fraction)) - 1) << fraction;
    if (x != x) return sign | top | uint64_t{1} << (fraction - 1);
    if (x - x != 0) return sign | top;
    int exponent = static_cast<int>(bits >> 52 & 0x7ff) - 1023;
    uint64_t digits = (bits & 0xfffffffffffffull) | uint64_t{1} << 52;
    if (exponent > format.most) return sign | (top - 1);
    if (exponent < format.least) {
        int shift = 52 - fraction + (format.least - exponent);
        return sign | (shift > 63 ? 0 : digits >> shift);
    }
    uint64_t biased = static_cast<uint64_t>(exponent - format.least + 1);
    return sign | biased << fraction | (digits & 0xfffffffffffffull) >> (52 - fraction);
}
inline double decode(DType type, uint64_t bits) {
    Format format = format_of(type);
    int fraction = format.digits - 1, width = static_cast<int>(8 * size_of(type));
    uint64_t low = bits & ((uint64_t{1} << fraction) - 1);
    int biased = static_cast<int>(bits >> fraction & ((uint64_t{1} << (width - 1 - fraction)) - 1));
    double sign = bits >> (width - 1) & 1 ? -1 : 1;
    if (biased == format.most - format.least + 2) return low ? NAN : sign * INFINITY;
    double digits = static_cast<double>(low | (biased ? uint64_t{1} << fraction : 0));
    return sign * std::ldexp(digits, (biased ? biased : 1) - 1 + format.least - fraction);
}

class Random {
    uint64_t state_;

  public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t next() {  // splitmix64
        uint64_t z = state_ += 0x9e3779b97f4a7c15ull;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ z >> 27) * 0x94d049bb133111ebull;
        return z ^ z >> 31;
    }
    Index below(Index n) { return static_cast<Index>(next() % static_cast<uint64_t>(n)); }
    double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }
    double power(int low, int high) {
        double digits = 1 + unit();
        return std::ldexp(digits, low + static_cast<int>(below(high - low)));
    }
};

// One row of a family chosen at random; `finite` leaves out rows that hold NaN or +inf, or nothing but -inf.
class RowMaker {
    Random& random_;
    int family_;
    double centre_, spread_, other_;

  public:
    RowMaker(Random& random, DType type, bool finite = false) : random_(random) {
        family_ = static_cast<int>(random.below(finite ? 10 : 13));
        spread_ = random.power(-6, 6);
        double size = random.power(0, 7), share = random.unit() - 0.5;
        centre_ = random.below(2) ? 0 : share * size;
        other_ = centre_ - random.unit() * 20;
        if (family_ == 4) {
            centre_ = random.below(2) ? 45426 : 65536;
            if (random.below(2)) centre_ = -centre_;
        }
        if (family_ == 5) spread_ = std::ldexp(1.0, format_of(type).most - 2);
        if (family_ == 6) other_ = type == DType::float64 ? -745 : -104;
        if (family_ == 7) other_ = centre_ + random.unit() * 100;
        if (family_ == 8) centre_ = -0.7 - random.unit() * 3;
    }
    double next(bool special) {
        double wave = -1.5;
        for (int i = 0; i < 3; i++) wave += random_.unit();
        switch (family_) {
            case 2: return centre_;
            case 3: return random_.below(3) ? centre_ : other_;
            case 6: return special ? 0 : other_ + 30 * (random_.unit() - 0.3);
            case 7: return special ? other_ : centre_ - 3 * random_.unit();
            case 8: return special ? -0.01 * random_.unit() : centre_ - 0x1p-20 * random_.unit();
            case 9: return special || random_.below(3) == 0 ? wave * 5 : -INFINITY;
            case 10: return special ? NAN : wave;
            case 11: return special ? INFINITY : wave;
            case 12: return -INFINITY;
            default: return centre_ + wave * spread_;
        }
    }
};

}  // namespace driver
