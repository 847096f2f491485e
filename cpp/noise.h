// The noise of sampling: Gumbel numbers from (seed, position, token), and the exponential and logarithm whose
// bits decide which token wins. src/softmaxlib/sampling/_generator.py and _elementary.py define them; here are
// the same operations in the same order, without fused multiply-add, so that the bits are the same.
#pragma once

#include "rows.h"

namespace {

typedef uint32_t Words __attribute__((vector_size(64)));
typedef int32_t Integers __attribute__((vector_size(64)));
typedef float Reals __attribute__((vector_size(64)));

// Threefry-2x32-20 (Salmon et al. 2011) on anything with +, ^, << and >>: one word, or sixteen at a time.
template <int rotation, class Word> inline __attribute__((always_inline)) void mix(Word& first, Word& second) {
    first += second;
    second = (second << rotation) | (second >> (32 - rotation));
    second ^= first;
}
template <int a, int b, int c, int d, class Word>
inline __attribute__((always_inline)) void mix_four(Word& first, Word& second, uint32_t key_first,
                                                    uint32_t key_second) {
    mix<a>(first, second);
    mix<b>(first, second);
    mix<c>(first, second);
    mix<d>(first, second);
    first += key_first;
    second += key_second;
}

struct Key {
    uint32_t low, high, parity, position;
    Key(uint64_t seed, uint32_t at)
        : low(static_cast<uint32_t>(seed)), high(static_cast<uint32_t>(seed >> 32)), parity(low ^ high ^ 0x1BD11BDAu),
          position(at) {}
    // `first` holds the token on the way in, and the upper half of its 64 bits on the way out.
    template <class Word> inline __attribute__((always_inline)) void scramble(Word& first, Word& second) const {
        first += low;
        second = first - first + (position + high);
        mix_four<13, 15, 26, 6>(first, second, high, parity + 1);
        mix_four<17, 29, 16, 24>(first, second, parity, low + 2);
        mix_four<13, 15, 26, 6>(first, second, low, high + 3);
        mix_four<17, 29, 16, 24>(first, second, high, parity + 4);
        mix_four<13, 15, 26, 6>(first, second, parity, low + 5);
    }
};

constexpr double log2_e = 1.4426950408889634;
constexpr double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
constexpr double to_integer = 0x1.8p52;

// exp(x) for x <= 0: 1 at 0, 0 below -700.
inline __attribute__((always_inline)) Doubles decided_exp(Doubles x) {
    const DoublesMask small = less(x, broadcast(-700.0));
    x = select(small, broadcast(0.0), x);
    const Doubles exponent = (x * broadcast(log2_e) + broadcast(to_integer)) - broadcast(to_integer);
    const Doubles rest = (x - exponent * broadcast(ln2_high)) - exponent * broadcast(ln2_low);
    static constexpr double coefficient[14] = {
        1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
        1.0 / 720,        1.0 / 120,       1.0 / 24,       1.0 / 6,       1.0 / 2,      1.0,         1.0};
    Doubles result = broadcast(coefficient[0]);
    for (int i = 1; i < 14; i++) result = result * rest + broadcast(coefficient[i]);
    // add_exponent takes eighths
    result = add_exponent(result, exponent * broadcast(8.0) + broadcast(to_integer));
    return select(small, broadcast(0.0), result);
}

// log(x) for positive normal x.
inline double decided_log(double x) {
    uint64_t bits;
    memcpy(&bits, &x, 8);
    double power = static_cast<double>(static_cast<int64_t>(bits >> 52) - 1022);
    bits = (bits & 0x000FFFFFFFFFFFFFull) | 0x3FE0000000000000ull;  // a fraction in [1/2, 1)
    double fraction;
    memcpy(&fraction, &bits, 8);
    if (fraction < 0.7071067811865476) {
        fraction *= 2;
        power -= 1;
    }
    const double ratio = (fraction - 1) / (fraction + 1), square = ratio * ratio;
    double series = 1.0 / 21;
    for (int k = 19; k >= 1; k -= 2) series = series * square + 1.0 / k;
    series = (ratio + ratio) * series;
    return power * ln2_high + (series + power * ln2_low);
}

inline double gumbel(const Key& key, uint32_t token) {
    uint32_t first = token, second = 0;
    key.scramble(first, second);
    const uint64_t bits = static_cast<uint64_t>(first) << 32 | second;
    const double uniform = (static_cast<double>(bits >> 12) + 0.5) * 0x1p-52;
    return -decided_log(-decided_log(uniform));
}

}  // namespace
