// Sums that lose nothing worth naming: numbers in two parts, and the accumulators of the exponentials.
//
// Every sum has the same shape on every processor: vectors go round four accumulators, which are settled after 16
// vectors and flushed into wider ones after 32, and the lanes are joined by halves. An addition against a large
// constant is exact in two parts (Dekker's fast two-sum).
#pragma once

#include "vecmath.h"

namespace {

// A number in two parts, |low| <= ulp(high).
struct Total {
    double high, low;
};
inline Total two_sum(double a, double b) {
    double s = a + b, part = s - a;
    return {s, (a - (s - part)) + (b - part)};
}
inline Total operator+(Total a, Total b) {
    Total s = two_sum(a.high, b.high);
    return two_sum(s.high, s.low + (a.low + b.low));
}
inline Total operator*(Total a, double power_of_two) { return {a.high * power_of_two, a.low * power_of_two}; }

// The wider accumulators of sixteen float lanes: doubles; of eight double lanes: pairs of doubles.
struct WideFloats {
    Doubles first = broadcast(0.0), second = broadcast(0.0);
    void add(Floats high, Floats low) {
        Doubles a, b, c, d;
        widen(high, a, b);
        widen(low, c, d);
        first = first + (a + c);
        second = second + (b + d);
    }
    Total total() const {
        double lanes[8];
        store(lanes, first + second);
        return {((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7])), 0};
    }
};
struct WideDoubles {
    Doubles sum = broadcast(0.0), rest = broadcast(0.0);
    void add(Doubles high, Doubles low) {
        Doubles s = sum + high, part = s - sum;
        rest = rest + (((sum - (s - part)) + (high - part)) + low);
        sum = s;
    }
    Total total() const {
        double high[8], low[8];
        store(high, sum);
        store(low, rest);
        for (int half = 4; half; half /= 2)
            for (int i = 0; i < half; i++) {
                const Total both = two_sum(high[i], high[i + half]);
                high[i] = both.high;
                low[i] = (low[i] + low[i + half]) + both.low;
            }
        return two_sum(high[0], low[0]);
    }
};
template <class T> struct WideOf {
    using type = WideFloats;
};
template <> struct WideOf<double> {
    using type = WideDoubles;
};

// Sum of value * (1 + excess), up to sixteen times. `high` starts at many times the largest value, which is at most one
// and a half times the bias: its two-sum is exact, and all its digits are so high that four of them are added up
// exactly too. Values that are close, of five bits and at least 2^-14 times the bias, lose no digit there.
template <class T> struct Accumulator {
    using Vector = typename Lanes<T>::Vector;
    static constexpr T start = static_cast<T>(32 * Lanes<T>::bias);
    Vector high = broadcast(start), low = broadcast(static_cast<T>(0));
    template <Range range = Range::any> inline __attribute__((always_inline)) void add(Vector value, Vector excess) {
        const Vector s = high + value;
        low = fma(value, excess, low);
        if (range != Range::close) low = low + (value - (s - high));
        high = s;
    }
    // Moves to `high` what `low` has of its digits. Every four additions, and at the end: `low` is never so large that
    // its rounding counts. (A second time in a row changes nothing.)
    inline __attribute__((always_inline)) void settle() {
        const Vector s = high + low;
        low = low - (s - high);
        high = s;
    }
    Vector whole() const { return high - broadcast(start); }
    // Once it is settled.
    inline __attribute__((always_inline)) void flush(typename WideOf<T>::type& wide) {
        wide.add(whole(), low);
        *this = Accumulator();
    }
};
constexpr Index until_settled = 4;
template <class T>
inline __attribute__((always_inline)) void flush(Accumulator<T> (&sum)[4], typename WideOf<T>::type& wide) {
    wide.add((sum[0].whole() + sum[1].whole()) + (sum[2].whole() + sum[3].whole()),
             (sum[0].low + sum[1].low) + (sum[2].low + sum[3].low));
    for (auto& one : sum) one = Accumulator<T>();
}

}  // namespace
