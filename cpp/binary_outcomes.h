// The two outcomes of a binary logit x, in eight lanes of double, each number in one part or in two.
//
// With u = |x| and e = exp(-u), the likelier outcome has p = 1 / (1 + e) and -log p = log1p(e), the other one
// p = e / (1 + e) and -log p = u + log1p(e).
#pragma once

#include "vecmath.h"

namespace {

// A number in lanes, as one double or as the sum of two. Of both: sums, products, 1 / (1 + e), exp(-y), log1p(e).
struct Single {
    Doubles high;
    Doubles rounded() const { return high; }
};
struct Pair {
    Doubles high, low;
    // If the high part is infinite, the low part is NaN and is ignored.
    Doubles rounded() const { return high + minimum(low, broadcast(0x1p1000)); }
};

inline Single exactly(Doubles x, Single) { return {x}; }
inline Pair exactly(Doubles x, Pair) { return {x, broadcast(0.0)}; }

inline Single operator+(Single a, Single b) { return {a.high + b.high}; }
inline Pair operator+(Pair a, Pair b) {
    const Doubles high = a.high + b.high, part = high - a.high;
    return {high, ((a.high - (high - part)) + (b.high - part)) + (a.low + b.low)};
}
inline Single operator-(Single a) { return {broadcast(0.0) - a.high}; }
inline Pair operator-(Pair a) { return {broadcast(0.0) - a.high, broadcast(0.0) - a.low}; }
inline Single operator*(Single a, Single b) { return {a.high * b.high}; }
inline Pair operator*(Pair a, Pair b) {
    const Doubles high = a.high * b.high;
    return {high, fms(a.high, b.high, high) + (a.high * b.low + a.low * b.high)};
}
inline Single select(DoublesMask mask, Single a, Single b) { return {select(mask, a.high, b.high)}; }
inline Pair select(DoublesMask mask, Pair a, Pair b) {
    return {select(mask, a.high, b.high), select(mask, a.low, b.low)};
}

// 1 / (1 + e) for 0 <= e <= 1.
inline Single share_beside(Single e) { return {broadcast(1.0) / (broadcast(1.0) + e.high)}; }
inline Pair share_beside(Pair e) {
    const Doubles one = broadcast(1.0), whole = one + e.high, lost = (e.high - (whole - one)) + e.low;
    const Doubles share = one / whole;
    return {share, share * ((one - one) - fms(share, whole, one) - share * lost)};
}
// log(1 + e) for 0 <= e <= 1, given that share.
inline Single log1p(Single e, Single) { return {log1p(e.high)}; }
inline Pair log1p(Pair e, Pair share) {
    Pair result;
    result.high = log1p(e.high, result.low);
    result.low = result.low + e.low * share.high;
    return result;
}
// exp(-y) for y >= 0; y above 800 counts as 800, where the result is 0.
inline Single decay(Single y) {
    const Doubles x = minimum(y.high, broadcast(800.0)), log2e = broadcast(-0x1.71547652b82fep+0), z = x * log2e;
    return {exp2(z, fma(x, broadcast(-0x1.777d0ffda0d24p-56), fms(x, log2e, z)))};
}
inline Pair decay(Pair y) {
    const Doubles most = broadcast(800.0);
    const DoublesMask within = less(y.high, most);
    y = {select(within, y.high, most), select(within, y.low, broadcast(0.0))};
    const Pair z = y * Pair{broadcast(-0x1.71547652b82fep+0), broadcast(-0x1.777d0ffda0d24p-56)};
    Pair result;
    result.high = exp2(z.high, z.low, result.low);
    return result;
}

// Of a logit that is a number.
template <class Number> struct BinaryOutcomes {
    Number u, e, large, small;  // the last two are the probabilities
    explicit BinaryOutcomes(Doubles x)
        : u(exactly(absolute(x), Number())), e(decay(u)), large(share_beside(e)), small(e * large) {}
    Number surprise() const { return log1p(e, large); }  // minus the logarithm of the larger one
};

}  // namespace
