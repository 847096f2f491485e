// Sixteen float lanes or eight double lanes in plain C++: the specification of the other headers.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace {

constexpr const char* lanes_name = "portable";
constexpr int interleaved = 1;        // vectors that are worked on together where each waits for its last step
constexpr bool sums_in_turn = false;  // four sums go together
struct Permutations {
    static constexpr bool exist = false;  // of any lanes of two vectors
};
constexpr bool lower_of_negative = false;  // lower_of() is right for all signs
template <class Vector> inline Vector lower_of(Vector a, Vector b) { return minimum(a, b); }
template <class Vector> inline void hold(Vector&) {}

struct Floats {
    float lane[16];
};
struct Doubles {
    double lane[8];
};
struct FloatsMask {
    bool lane[16];
};
struct DoublesMask {
    bool lane[8];
};

// Round-to-odd in double, then one rounding to float: a correctly rounded fma without the instruction.
inline float fused(float a, float b, float c) {
    double product = static_cast<double>(a) * b;
    double sum = product + c;
    double part = sum - product;
    double error = (product - (sum - part)) + (c - part);
    uint64_t bits;
    memcpy(&bits, &sum, 8);
    if (error != 0 && (bits & 1) == 0 && __builtin_fabs(sum) <= 1.7976931348623157e308) {
        bits += (error > 0) == (sum > 0) ? 1 : -1;
        memcpy(&sum, &bits, 8);
    }
    return static_cast<float>(sum);
}
inline double fused(double a, double b, double c) { return __builtin_fma(a, b, c); }

// A function of its own in the object, because a copy in each place takes minutes to compile.
#define SHARED __attribute__((noinline, unused))

#define LANEWISE(Vector, Scalar, width)                                                                                \
    inline Vector broadcast(Scalar x) {                                                                                \
        Vector r;                                                                                                      \
        for (int i = 0; i < width; i++) r.lane[i] = x;                                                                 \
        return r;                                                                                                      \
    }                                                                                                                  \
    inline Vector load(const Scalar* p) {                                                                              \
        Vector r;                                                                                                      \
        memcpy(r.lane, p, sizeof r.lane);                                                                              \
        return r;                                                                                                      \
    }                                                                                                                  \
    inline void store(Scalar* p, Vector a) { memcpy(p, a.lane, sizeof a.lane); }                                       \
    inline Vector load_partial(const Scalar* p, int n, Scalar fill) {                                                  \
        Vector r = broadcast(fill);                                                                                    \
        memcpy(r.lane, p, n * sizeof(Scalar));                                                                         \
        return r;                                                                                                      \
    }                                                                                                                  \
    inline void store_partial(Scalar* p, Vector a, int n) { memcpy(p, a.lane, n * sizeof(Scalar)); }                   \
    inline void stream(Scalar* p, Vector a) { store(p, a); }                                                           \
    SHARED Vector operator+(const Vector& a, const Vector& b) {                                                        \
        Vector r;                                                                                                      \
        for (int i = 0; i < width; i++) r.lane[i] = a.lane[i] + b.lane[i];                                             \
        return r;                                                                                                      \
    }                                                                                                                  \
    SHARED Vector operator-(const Vector& a, const Vector& b) {                                                        \
        Vector r;                                                                                                      \
        for (int i = 0; i < width; i++) r.lane[i] = a.lane[i] - b.lane[i];                                             \
        return r;                                                                                                      \
    }                                                                                                                  \
    SHARED Vector operator*(const Vector& a, const Vector& b) {                                                        \
        Vector r;                                                                                                      \
        for (int i = 0; i < width; i++) r.lane[i] = a.lane[i] * b.lane[i];                                             \
        return r;                                                                                                      \
    }                                                                                                                  \
    SHARED Vector operator/(const Vector& a, const Vector& b) {                                                        \
        Vector r;                                                                                                      \
        for (int i = 0; i < width; i++) r.lane[i] = a.lane[i] / b.lane[i];                                             \
        return r;                                                                                                      \
    }                                                                                                                  \
    SHARED Vector fma(const Vector& a, const Vector& b, const Vector& c) {                                             \
        Vector r;                                                                                                      \
        for (int i = 0; i < width; i++) r.lane[i] = fused(a.lane[i], b.lane[i], c.lane[i]);                            \
        return r;                                                                                                      \
    }                                                                                                                  \
    SHARED Vector fms(const Vector& a, const Vector& b, const Vector& c) {                                             \
        Vector r;                                                                                                      \
        for (int i = 0; i < width; i++) r.lane[i] = fused(a.lane[i], b.lane[i], -c.lane[i]);                           \
        return r;                                                                                                      \
    }                                                                                                                  \
    SHARED Vector maximum(const Vector& a, const Vector& b) {                                                          \
        Vector r;                                                                                                      \
        for (int i = 0; i < width; i++) r.lane[i] = a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i];                     \
        return r;                                                                                                      \
    }                                                                                                                  \
    SHARED Vector minimum(const Vector& a, const Vector& b) {                                                          \
        Vector r;                                                                                                      \
        for (int i = 0; i < width; i++) r.lane[i] = a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i];                     \
        return r;                                                                                                      \
    }                                                                                                                  \
    SHARED Vector absolute(const Vector& a) {                                                                          \
        Vector r;                                                                                                      \
        for (int i = 0; i < width; i++) r.lane[i] = __builtin_fabs(a.lane[i]);                                         \
        return r;                                                                                                      \
    }                                                                                                                  \
    SHARED Vector##Mask less(const Vector& a, const Vector& b) {                                                       \
        Vector##Mask m;                                                                                                \
        for (int i = 0; i < width; i++) m.lane[i] = a.lane[i] < b.lane[i];                                             \
        return m;                                                                                                      \
    }                                                                                                                  \
    SHARED Vector##Mask less_equal(const Vector& a, const Vector& b) {                                                 \
        Vector##Mask m;                                                                                                \
        for (int i = 0; i < width; i++) m.lane[i] = a.lane[i] <= b.lane[i];                                            \
        return m;                                                                                                      \
    }                                                                                                                  \
    SHARED Vector##Mask equal(const Vector& a, const Vector& b) {                                                      \
        Vector##Mask m;                                                                                                \
        for (int i = 0; i < width; i++) m.lane[i] = a.lane[i] == b.lane[i];                                            \
        return m;                                                                                                      \
    }                                                                                                                  \
    SHARED Vector select(const Vector##Mask& m, const Vector& a, const Vector& b) {                                    \
        Vector r;                                                                                                      \
        for (int i = 0; i < width; i++) r.lane[i] = m.lane[i] ? a.lane[i] : b.lane[i];                                 \
        return r;                                                                                                      \
    }                                                                                                                  \
    SHARED Vector multiply_where(const Vector##Mask& m, const Vector& a, const Vector& b) {                            \
        Vector r;                                                                                                      \
        for (int i = 0; i < width; i++) r.lane[i] = m.lane[i] ? a.lane[i] * b.lane[i] : 0;                             \
        return r;                                                                                                      \
    }                                                                                                                  \
    SHARED int count(const Vector##Mask& m) {                                                                          \
        int n = 0;                                                                                                     \
        for (int i = 0; i < width; i++) n += m.lane[i];                                                                \
        return n;                                                                                                      \
    }

LANEWISE(Floats, float, 16)
LANEWISE(Doubles, double, 8)
#undef LANEWISE

// Of vectors whose lanes are all the same.
inline Floats uniform(Floats x) { return x; }
inline Doubles uniform(Doubles x) { return x; }

// The largest of the lanes. (Of a NaN either it or another lane.)
template <class T, int width> inline T largest_of(T (&lanes)[width]) {
    for (int half = width / 2; half; half /= 2)
        for (int i = 0; i < half; i++) lanes[i] = lanes[i] > lanes[i + half] ? lanes[i] : lanes[i + half];
    return lanes[0];
}
SHARED float largest_lane(Floats a) { return largest_of(a.lane); }
SHARED double largest_lane(Doubles a) { return largest_of(a.lane); }

// Sixteen floats or eight doubles, looked up by the low four or three bits of each lane.
struct FloatsTable {
    float entry[16];
};
struct DoublesTable {
    double entry[8];
};
inline FloatsTable load_table(const float* p) {
    FloatsTable t;
    memcpy(t.entry, p, sizeof t.entry);
    return t;
}
inline DoublesTable load_table(const double* p) {
    DoublesTable t;
    memcpy(t.entry, p, sizeof t.entry);
    return t;
}
SHARED Floats lookup(const FloatsTable& t, const Floats& index) {
    Floats r;
    for (int i = 0; i < 16; i++) {
        uint32_t bits;
        memcpy(&bits, &index.lane[i], 4);
        r.lane[i] = t.entry[bits & 15];
    }
    return r;
}
SHARED Doubles lookup(const DoublesTable& t, const Doubles& index) {
    Doubles r;
    for (int i = 0; i < 8; i++) {
        uint64_t bits;
        memcpy(&bits, &index.lane[i], 8);
        r.lane[i] = t.entry[bits & 7];
    }
    return r;
}

// The bits of `n` shifted so that its fifth lowest lands on the exponent.
SHARED Floats exponent_of(const Floats& n) {
    Floats r;
    for (int i = 0; i < 16; i++) {
        uint32_t bits;
        memcpy(&bits, &n.lane[i], 4);
        bits <<= 19;
        memcpy(&r.lane[i], &bits, 4);
    }
    return r;
}
// The bits of `a` plus the bits of `n` shifted so that its fourth lowest lands on the exponent.
SHARED Doubles add_exponent(const Doubles& a, const Doubles& n) {
    Doubles r;
    for (int i = 0; i < 8; i++) {
        uint64_t x, y;
        memcpy(&x, &a.lane[i], 8);
        memcpy(&y, &n.lane[i], 8);
        x += y << 49;
        memcpy(&r.lane[i], &x, 8);
    }
    return r;
}

// u = fraction * 2^exponent with fraction in [0.75, 1.5), for u >= 0.75.
SHARED void split_exponent(const Doubles& u, Doubles& fraction, Doubles& exponent) {
    for (int i = 0; i < 8; i++) {
        uint64_t bits;
        memcpy(&bits, &u.lane[i], 8);
        uint64_t k = (bits - 0x3FE8000000000000ull) >> 52;
        bits -= k << 52;
        memcpy(&fraction.lane[i], &bits, 8);
        exponent.lane[i] = static_cast<double>(k);
    }
}

SHARED void widen(const Floats& a, Doubles& low, Doubles& high) {
    for (int i = 0; i < 8; i++) low.lane[i] = a.lane[i], high.lane[i] = a.lane[i + 8];
}
SHARED Floats narrow(const Doubles& low, const Doubles& high) {
    Floats r;
    for (int i = 0; i < 8; i++) {
        r.lane[i] = static_cast<float>(low.lane[i]);
        r.lane[i + 8] = static_cast<float>(high.lane[i]);
    }
    return r;
}

// Sixteen numbers of sixteen bits, from and to an address that may be odd.
struct HalfWords {
    uint16_t lane[16];
    HalfWords() = default;
    explicit HalfWords(const uint16_t* p) { memcpy(lane, p, sizeof lane); }
    void put(uint16_t* p) const { memcpy(p, lane, sizeof lane); }
};

SHARED Floats load_half(const uint16_t* p) {
    const HalfWords words(p);
    Floats r;
    for (int i = 0; i < 16; i++) {
        uint32_t h = words.lane[i], magnitude = (h & 0x7fffu) << 13, bits;
        float value = 0;
        if (magnitude >= 0x0f800000u) {
            bits = magnitude | 0x7f800000u;  // infinity, NaN (made quiet, as the instructions do)
            if (bits & 0x7fffffu) bits |= 0x400000u;
            memcpy(&value, &bits, 4);
        } else {
            memcpy(&value, &magnitude, 4);
            value *= 0x1p112f;
        }
        r.lane[i] = h & 0x8000u ? -value : value;
    }
    return r;
}
SHARED void store_half(uint16_t* p, const Floats& a) {
    HalfWords words;
    for (int i = 0; i < 16; i++) {
        uint32_t bits;
        memcpy(&bits, &a.lane[i], 4);
        uint32_t sign = bits >> 16 & 0x8000u;
        bits &= 0x7fffffffu;
        uint32_t half;
        if (bits > 0x7f800000u) {
            half = 0x7e00u | (bits >> 13 & 0x3ffu);
        } else if (bits >= 0x477ff000u) {
            half = 0x7c00u;
        } else if (bits < 0x38800000u) {  // subnormal: a float add rounds at the right place
            float value = 0;
            memcpy(&value, &bits, 4);
            value += 0.5f;
            memcpy(&half, &value, 4);
            half -= 0x3f000000u;
        } else {
            half = (bits - 0x38000000u + 0xfffu + (bits >> 13 & 1)) >> 13;
        }
        words.lane[i] = static_cast<uint16_t>(sign | half);
    }
    words.put(p);
}
SHARED Floats load_bfloat(const uint16_t* p) {
    const HalfWords words(p);
    Floats r;
    for (int i = 0; i < 16; i++) {
        uint32_t bits = static_cast<uint32_t>(words.lane[i]) << 16;
        memcpy(&r.lane[i], &bits, 4);
    }
    return r;
}
SHARED void store_bfloat(uint16_t* p, const Floats& a) {
    HalfWords words;
    for (int i = 0; i < 16; i++) {
        uint32_t bits;
        memcpy(&bits, &a.lane[i], 4);
        words.lane[i] = static_cast<uint16_t>(
            (bits & 0x7fffffffu) > 0x7f800000u ? (bits >> 16 | 0x40u) : (bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
    }
    words.put(p);
}

// n of at most sixteen, from and to any address.
inline void copy_words(uint16_t* to, const uint16_t* from, int n) { memcpy(to, from, n * sizeof(uint16_t)); }
inline void stream_words(uint16_t* p, const uint16_t* words) { memcpy(p, words, 32); }

SHARED void transpose(Floats row[16]) {
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < i; j++) {
            float swap = row[i].lane[j];
            row[i].lane[j] = row[j].lane[i];
            row[j].lane[i] = swap;
        }
}
SHARED void transpose(Doubles row[8]) {
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < i; j++) {
            double swap = row[i].lane[j];
            row[i].lane[j] = row[j].lane[i];
            row[j].lane[i] = swap;
        }
}

// Writes the chosen lanes one after the other, and anything behind them; room for sixteen is needed.
template <class Number> inline void compress(Number* to, FloatsMask m, const Number from[16]) {
    for (int i = 0; i < 16; i++) {
        *to = from[i];
        to += m.lane[i];
    }
}
inline void compress(float* to, FloatsMask m, Floats a) { compress(to, m, a.lane); }

// Four floats of each of sixteen rows that begin `stride` bytes apart, turned: out[c] holds column c. And back.
SHARED void load_columns(const char* p, ptrdiff_t stride, Floats out[4]) {
    for (int c = 0; c < 4; c++)
        for (int r = 0; r < 16; r++) memcpy(&out[c].lane[r], p + r * stride + c * sizeof(float), sizeof(float));
}
SHARED void store_columns(const Floats in[4], char* p, ptrdiff_t stride) {
    for (int r = 0; r < 16; r++)
        for (int c = 0; c < 4; c++) memcpy(p + r * stride + c * sizeof(float), &in[c].lane[r], sizeof(float));
}

// Into the first or the second level of the cache; any address will do.
inline void prefetch(const void*) {}
inline void prefetch_to_write(const void*) {}
inline void prefetch_far(const void*) {}

inline void fence() {}

#undef SHARED

}  // namespace
