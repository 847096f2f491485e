// Powers of two and logarithms on lanes.
//
// The exponential comes in two parts, value * (1 + excess), never added up. That keeps what a rounded exponential
// would lose. Of floats, value is a power of two times 1 + j/16, so that its bits are those of the exponent, shifted,
// and |excess| < 0.056; of doubles, a power of two by eighths, from a table, and |excess| < 0.046.
//
//   function      domain                            error of the exact result
//   exponential   |c x| < 65536 or offset = max     float 2^-26.6 (relative, before the one rounding), double 2^-57
//   exp2          z in [-1080, 1000]                < 0.75 ULP (double)
//   log1p         y in [0, 2^60]                    < 0.6 ULP (double)
//
// Table and reduction after Tang, "Table-driven implementation of the exponential function" (1989); table entries of
// few bits after Gal, "Computing elementary functions" (1986).
#pragma once

#include "lanes.h"

namespace {

template <class T> struct Lanes;

template <> struct Lanes<float> {
    using Vector = Floats;
    using Mask = FloatsMask;
    static constexpr int width = 16;
    static constexpr float bias = 0x1p62f;        // about the value of the maximum: no part is subnormal
    static constexpr float magic = 786621.0f;     // 0x1.8p19 + 127 + 62: adding it rounds to a sixteenth
    static constexpr float lift = 0x1p64f;        // results are computed this much larger, and lowered at the end
    static constexpr float least = -185;          // a factor below 2^-185 counts as 2^-185
    static constexpr float vanishing = 0x1p-86f;  // 2^-150 lifted: rounds to zero
    // 2^surplus is the unit of all exponentials: it has the smallest excesses of both signs.
    static constexpr float surplus = 0.046875f;
    // j/16 - log2(1 + j/16) + surplus
    static constexpr float correction[16] = {0x1.8p-5f,       0x1.670242p-6f,  0x1.ff2e30p-10f, -0x1.bc16bap-7f,
                                             -0x1.9a784cp-6f, -0x1.0ddd44p-5f, -0x1.33a9f0p-5f, -0x1.4105p-5f,
                                             -0x1.380348p-5f, -0x1.1a784cp-5f, -0x1.d4011cp-6f, -0x1.5013acp-6f,
                                             -0x1.5767f6p-7f, 0x1.6d6e16p-10f, 0x1.eb024cp-7f,  0x1.ee729ap-6f};
};
template <> struct Lanes<double> {
    using Vector = Doubles;
    using Mask = DoublesMask;
    static constexpr int width = 8;
    static constexpr double magic = 0x1.8p49;  // adding it rounds to an eighth
    static constexpr double bias = 0x1p100;
    static constexpr double surplus = 0;
    static constexpr double lift = 0x1p128;
    static constexpr double least = -1115;
    static constexpr double vanishing = 0x1p-947;
    static constexpr double value[8] = {0x1p+0,
                                        0x1.172b83c7d517bp+0,
                                        0x1.306fe0a31b715p+0,
                                        0x1.4bfdad5362a27p+0,
                                        0x1.6a09e667f3bcdp+0,
                                        0x1.8ace5422aa0dbp+0,
                                        0x1.ae89f995ad3adp+0,
                                        0x1.d5818dcfba487p+0};
    static constexpr double excess[8] = {0,
                                         -0x1.01b15eaa59348p-55,
                                         0x1.34d754db0abb6p-55,
                                         0x1.690cebb7aafb0p-56,
                                         -0x1.3b3efbf5e2228p-54,
                                         0x1.db72fc1f0eab4p-55,
                                         0x1.c1a7792cb3387p-55,
                                         0x1.4a385a63d07a7p-56};
};

// (2^t - 1) / t, minimax, from the highest power down: for |t| < 0.0785, and of doubles for |t| < 0.0645.
constexpr float slope_terms(float, int k) {
    constexpr float terms[] = {0x1.3af77p-7f, 0x1.c6bc8ap-5f, 0x1.ebfbe0p-3f, 0x1.62e430p-1f};
    return terms[k];
}
constexpr double slope_terms(double, int k) {
    constexpr double terms[] = {0x1.62c574a74a628p-20, 0x1.ffd42b73c9ad4p-17, 0x1.430912edf42f9p-13,
                                0x1.5d87fe6b93751p-10, 0x1.3b2ab6fba4f80p-7,  0x1.c6b08d704a2afp-5,
                                0x1.ebfbdff82c58fp-3,  0x1.62e42fefa39efp-1};
    return terms[k];
}
template <class T, class Vector, int count>
inline __attribute__((always_inline)) void slope_of(const Vector (&t)[count], Vector (&p)[count], int terms) {
    for (int i = 0; i < count; i++) p[i] = broadcast(slope_terms(T(), 0));
    for (int k = 1; k < terms; k++)
        for (int i = 0; i < count; i++) p[i] = fma(t[i], p[i], broadcast(slope_terms(T(), k)));
}
template <int count>
inline __attribute__((always_inline)) void power_slope(const Floats (&t)[count], Floats (&p)[count]) {
    slope_of<float>(t, p, 4);
}
template <int count>
inline __attribute__((always_inline)) void power_slope(const Doubles (&t)[count], Doubles (&p)[count]) {
    slope_of<double>(t, p, 8);
}

inline double bits_minus(double x, int entry) {
    uint64_t bits;
    memcpy(&bits, &x, 8);
    bits -= static_cast<uint64_t>(entry) << 49;
    memcpy(&x, &bits, 8);
    return x;
}

// log2(e) / temperature, in two parts of the lane type and as two doubles.
template <class T> struct Scale {
    double high, low, inverse;  // of c, and 1 / c
    T lane_high, lane_low;
    explicit Scale(double temperature) {
        high = 0x1.71547652b82fep+0 / temperature;
        low = (fused(-high, temperature, 0x1.71547652b82fep+0) + 0x1.777d0ffda0d24p-56) / temperature;
        inverse = temperature * 0x1.62e42fefa39efp-1;
        lane_high = static_cast<T>(high);
        lane_low = sizeof(T) == 4 ? static_cast<T>(high - lane_high) : static_cast<T>(low);
    }
};

// What the exponentials of a row are relative to: 2^power, and for large numbers the maximum itself,
// whose subtraction is then exact wherever the result is not zero (Sterbenz). The power is an integer less the surplus.
struct Reference {
    double offset, power;
};
template <class T> constexpr Reference no_reference = {0, -static_cast<double>(Lanes<T>::surplus)};
template <class T> inline Reference reference(const Scale<T>& scale, T maximum) {
    double exponent = maximum * scale.high;
    if (exponent > -65536 && exponent < 65536) return {0, ((exponent + 0x1.8p52) - 0x1.8p52) - Lanes<T>::surplus};
    return {static_cast<double>(maximum), no_reference<T>.power};
}

// How far elements are from the maximum: `normal`, if no result is subnormal; `close`, if no value of an exponential
// has a digit that a sum of them loses.
enum class Range { any, normal, close };
constexpr double normal_range = 90;  // in powers of two
template <class T> constexpr double close_range = sizeof(T) == 4 ? 13.25 : 0;
template <class T> inline Range range_of(double powers) {
    return powers < close_range<T> ? Range::close : powers < normal_range ? Range::normal : Range::any;
}
inline Range wider(Range a, Range b) { return a < b ? a : b; }

template <class T> constexpr T infinity = static_cast<T>(__builtin_inf());
template <class T> constexpr T not_a_number = static_cast<T>(__builtin_nan(""));

// bias * 2^(c x - power) = v (1 + q) from arguments x that need no care, where `magic` holds the power. Several vectors
// go step by step together: their chains of dependent operations overlap.
template <class T> struct PowerTables;
template <> struct PowerTables<float> {
    FloatsTable correction = load_table(Lanes<float>::correction);
    // From here on all exponentials are 2^powers times as large.
    void raise(float powers) {
        float entries[16];
        for (int j = 0; j < 16; j++) entries[j] = Lanes<float>::correction[j] + powers;
        correction = load_table(entries);
    }
    template <int count>
    inline __attribute__((always_inline)) void parts(const Floats (&x)[count], Floats high, Floats low, Floats magic,
                                                     Floats (&v)[count], Floats (&q)[count]) const {
        parts(x, high, low, magic, v, q, [](Floats entry) __attribute__((always_inline)) { return entry; });
    }
    // raised(entry) raises each lane by powers of its own.
    template <int count, class Raised>
    inline __attribute__((always_inline)) void parts(const Floats (&x)[count], Floats high, Floats low, Floats magic,
                                                     Floats (&v)[count], Floats (&q)[count], Raised raised) const {
        Floats n[count], t[count];
        for (int i = 0; i < count; i++) n[i] = fma(x[i], high, magic);
        for (int i = 0; i < count; i++) v[i] = fma(x[i], low, raised(lookup(correction, n[i])));
        for (int i = 0; i < count; i++) t[i] = fms(x[i], high, n[i] - magic) + v[i];
        power_slope(t, q);
        for (int i = 0; i < count; i++) q[i] = t[i] * q[i];
        for (int i = 0; i < count; i++) v[i] = exponent_of(n[i]);
    }
};
template <> struct PowerTables<double> {
    DoublesTable value, excess = load_table(Lanes<double>::excess);
    PowerTables() {
        double entries[8];
        for (int i = 0; i < 8; i++) entries[i] = bits_minus(Lanes<double>::value[i] * Lanes<double>::bias, i);
        value = load_table(entries);
    }
    template <int count>
    inline __attribute__((always_inline)) void parts(const Doubles (&x)[count], Doubles high, Doubles low,
                                                     Doubles magic, Doubles (&v)[count], Doubles (&q)[count]) const {
        Doubles n[count], t[count];
        for (int i = 0; i < count; i++) n[i] = fma(x[i], high, magic);
        for (int i = 0; i < count; i++) q[i] = fms(x[i], high, n[i] - magic);
        for (int i = 0; i < count; i++) t[i] = fma(x[i], low, q[i]);
        power_slope(t, q);
        for (int i = 0; i < count; i++) q[i] = fma(t[i], q[i], lookup(excess, n[i]));
        for (int i = 0; i < count; i++) v[i] = add_exponent(lookup(value, n[i]), n[i]);
    }
};

template <class T> struct Exponential {
    using Vector = typename Lanes<T>::Vector;
    Vector offset, high, low, magic, least;
    PowerTables<T> tables;

    Exponential() = default;
    explicit Exponential(const Scale<T>& scale) : high(broadcast(scale.lane_high)), low(broadcast(scale.lane_low)) {}
    void relative_to(const Scale<T>& scale, Reference to) {
        offset = broadcast(static_cast<T>(to.offset));
        magic = broadcast(static_cast<T>(Lanes<T>::magic - (to.power + Lanes<T>::surplus)));
        least = broadcast(static_cast<T>((to.power + Lanes<T>::least) * scale.inverse));
    }
    // A copy for the loops over one row, whose lanes all have the same reference.
    Exponential of_one_row() const {
        Exponential own = *this;
        own.offset = uniform(own.offset);
        own.high = uniform(own.high);
        own.low = uniform(own.low);
        own.magic = uniform(own.magic);
        own.least = uniform(own.least);
        return own;
    }
    // `all_normal` leaves out what changes nothing where the reference has no offset and no element is far below the
    // maximum.
    template <bool all_normal, int count, class... Raised>
    inline __attribute__((always_inline)) void parts(const Vector (&x)[count], Vector (&v)[count], Vector (&q)[count],
                                                     Raised... raised) const {
        if constexpr (all_normal) return tables.parts(x, high, low, magic, v, q, raised...);
        Vector t[count];
        for (int i = 0; i < count; i++) t[i] = maximum(least, x[i] - offset);
        tables.parts(t, high, low, magic, v, q, raised...);
    }
};

// 2^(high + low), |low| < 2^-30, and what rounding took from it.
inline Doubles exp2(Doubles high, Doubles low, Doubles& rest_of_result) {
    const Doubles magic = broadcast(Lanes<double>::magic), integer = broadcast(0x1.8p52);
    double entries[8];
    for (int i = 0; i < 8; i++) entries[i] = bits_minus(Lanes<double>::value[i], i);
    high = maximum(broadcast(-1080.0), minimum(broadcast(1000.0), high));
    Doubles half = (high * broadcast(0.5) + integer) - integer;
    Doubles rest = high - half;
    Doubles n = rest + magic;
    Doubles t[1] = {(rest - (n - magic)) + low}, slope[1];
    power_slope(t, slope);
    Doubles q = fma(t[0], slope[0], lookup(load_table(Lanes<double>::excess), n));
    Doubles v = add_exponent(lookup(load_table(entries), n), n);
    // The other half of the exponent comes last: a subnormal result is rounded once.
    Doubles result = fma(v, q, v), power = add_exponent(broadcast(1.0), half + magic);
    rest_of_result = fma(v, q, v - result) * power;
    return result * power;
}
inline Doubles exp2(Doubles high, Doubles low) {
    Doubles rest;
    return exp2(high, low, rest);
}

// log(1 + y) for y >= 0: y = F where 1 + y < 1.5, else 1 + y = 2^k (1 + F) and the rounding of 1 + y is put back.
// What rounding takes from the result is given beside it.
inline Doubles log1p(Doubles y, Doubles& rest_of_result) {
    const Doubles one = broadcast(1.0), zero = broadcast(0.0);
    Doubles u = one + y;
    Doubles lost = select(less(y, one), y - (u - one), one - (u - y));
    Doubles fraction, k;
    split_exponent(u, fraction, k);
    DoublesMask small = less(u, broadcast(1.5));
    Doubles f = select(small, y, fraction - one);
    Doubles correction = select(small, zero, lost / u);
    Doubles s = f / (broadcast(2.0) + f);
    Doubles z = s * s;
    Doubles p = fma(z, broadcast(0x1.1ba5d69d48b53p-3), broadcast(0x1.0dc6260c7ce08p-3));
    p = fma(z, p, broadcast(0x1.3b36150998e0cp-3));
    p = fma(z, p, broadcast(0x1.745c48394068cp-3));
    p = fma(z, p, broadcast(0x1.c71c749b4c3a1p-3));
    p = fma(z, p, broadcast(0x1.24924921d6cf4p-2));
    p = fma(z, p, broadcast(0x1.999999999c267p-2));
    p = fma(z, p, broadcast(0x1.555555555554fp-1));
    Doubles square = broadcast(0.5) * f * f;
    Doubles inner = s * fma(z, p, square) + fma(k, broadcast(1.90821492927058770002e-10), correction);
    Doubles whole = k * broadcast(6.93147180369123816490e-01);  // exact: the constant ends in zeros
    Doubles sum = whole + f;
    Doubles rest = (f - (sum - whole)) + (inner - square);
    Doubles result = sum + rest;
    rest_of_result = rest - (result - sum);
    return result;
}
inline Doubles log1p(Doubles y) {
    Doubles rest;
    return log1p(y, rest);
}

inline double exp2(double high, double low, double& rest) {
    double lanes[8], rests[8];
    Doubles rest_of_result;
    store(lanes, exp2(broadcast(high), broadcast(low), rest_of_result));
    store(rests, rest_of_result);
    rest = rests[0];
    return lanes[0];
}
inline double exp2(double high, double low) {
    double rest;
    return exp2(high, low, rest);
}
inline double log1p(double y, double& rest) {
    double lanes[8], rests[8];
    Doubles rest_of_result;
    store(lanes, log1p(broadcast(y), rest_of_result));
    store(rests, rest_of_result);
    rest = rests[0];
    return lanes[0];
}

}  // namespace
