// Sixteen float lanes or eight double lanes in four AArch64 registers (Advanced SIMD, always there).
#pragma once

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace {

constexpr const char* lanes_name = "neon";
constexpr int interleaved = 1;        // vectors that are worked on together where each waits for its last step
constexpr bool sums_in_turn = false;  // four sums go together
struct Permutations {
    static constexpr bool exist = false;  // of any lanes of two vectors
};
constexpr bool lower_of_negative = false;  // lower_of() is right for all signs
template <class Vector> inline Vector lower_of(Vector a, Vector b) { return minimum(a, b); }
template <class Vector> inline void hold(Vector&) {}

struct Floats {
    float32x4_t v[4];
};
struct Doubles {
    float64x2_t v[4];
};
struct FloatsMask {
    uint32x4_t v[4];
};
struct DoublesMask {
    uint64x2_t v[4];
};

inline int lanes_set(uint32x4_t m) { return static_cast<int>(vaddvq_u32(vshrq_n_u32(m, 31))); }
inline int lanes_set(uint64x2_t m) { return static_cast<int>(vaddvq_u64(vshrq_n_u64(m, 63))); }

// Comparisons and choices rather than the processor's maximum: what it gives for NaN and zeros is not the same.
#define LANEWISE(Vector, Scalar, width, suffix)                                                                        \
    inline Vector broadcast(Scalar x) {                                                                                \
        return {{vdupq_n_##suffix(x), vdupq_n_##suffix(x), vdupq_n_##suffix(x), vdupq_n_##suffix(x)}};                 \
    }                                                                                                                  \
    inline Vector load(const Scalar* p) {                                                                              \
        return {{vld1q_##suffix(p), vld1q_##suffix(p + width / 4), vld1q_##suffix(p + width / 2),                      \
                 vld1q_##suffix(p + 3 * width / 4)}};                                                                  \
    }                                                                                                                  \
    inline void store(Scalar* p, Vector a) {                                                                           \
        for (int i = 0; i < 4; i++) vst1q_##suffix(p + i * width / 4, a.v[i]);                                         \
    }                                                                                                                  \
    inline void stream(Scalar* p, Vector a) { store(p, a); }                                                           \
    inline Vector load_partial(const Scalar* p, int n, Scalar fill) {                                                  \
        Scalar lane[width];                                                                                            \
        store(lane, broadcast(fill));                                                                                  \
        memcpy(lane, p, n * sizeof(Scalar));                                                                           \
        return load(lane);                                                                                             \
    }                                                                                                                  \
    inline void store_partial(Scalar* p, Vector a, int n) {                                                            \
        Scalar lane[width];                                                                                            \
        store(lane, a);                                                                                                \
        memcpy(p, lane, n * sizeof(Scalar));                                                                           \
    }                                                                                                                  \
    inline Vector operator+(Vector a, Vector b) {                                                                      \
        for (int i = 0; i < 4; i++) a.v[i] = vaddq_##suffix(a.v[i], b.v[i]);                                           \
        return a;                                                                                                      \
    }                                                                                                                  \
    inline Vector operator-(Vector a, Vector b) {                                                                      \
        for (int i = 0; i < 4; i++) a.v[i] = vsubq_##suffix(a.v[i], b.v[i]);                                           \
        return a;                                                                                                      \
    }                                                                                                                  \
    inline Vector operator*(Vector a, Vector b) {                                                                      \
        for (int i = 0; i < 4; i++) a.v[i] = vmulq_##suffix(a.v[i], b.v[i]);                                           \
        return a;                                                                                                      \
    }                                                                                                                  \
    inline Vector operator/(Vector a, Vector b) {                                                                      \
        for (int i = 0; i < 4; i++) a.v[i] = vdivq_##suffix(a.v[i], b.v[i]);                                           \
        return a;                                                                                                      \
    }                                                                                                                  \
    inline Vector fma(Vector a, Vector b, Vector c) {                                                                  \
        for (int i = 0; i < 4; i++) c.v[i] = vfmaq_##suffix(c.v[i], a.v[i], b.v[i]);                                   \
        return c;                                                                                                      \
    }                                                                                                                  \
    inline Vector fms(Vector a, Vector b, Vector c) {                                                                  \
        for (int i = 0; i < 4; i++) c.v[i] = vfmaq_##suffix(vnegq_##suffix(c.v[i]), a.v[i], b.v[i]);                   \
        return c;                                                                                                      \
    }                                                                                                                  \
    inline Vector maximum(Vector a, Vector b) {                                                                        \
        for (int i = 0; i < 4; i++) a.v[i] = vbslq_##suffix(vcgtq_##suffix(a.v[i], b.v[i]), a.v[i], b.v[i]);           \
        return a;                                                                                                      \
    }                                                                                                                  \
    inline Vector minimum(Vector a, Vector b) {                                                                        \
        for (int i = 0; i < 4; i++) a.v[i] = vbslq_##suffix(vcltq_##suffix(a.v[i], b.v[i]), a.v[i], b.v[i]);           \
        return a;                                                                                                      \
    }                                                                                                                  \
    inline Vector absolute(Vector a) {                                                                                 \
        for (int i = 0; i < 4; i++) a.v[i] = vabsq_##suffix(a.v[i]);                                                   \
        return a;                                                                                                      \
    }                                                                                                                  \
    inline Vector##Mask less(Vector a, Vector b) {                                                                     \
        Vector##Mask m;                                                                                                \
        for (int i = 0; i < 4; i++) m.v[i] = vcltq_##suffix(a.v[i], b.v[i]);                                           \
        return m;                                                                                                      \
    }                                                                                                                  \
    inline Vector##Mask less_equal(Vector a, Vector b) {                                                               \
        Vector##Mask m;                                                                                                \
        for (int i = 0; i < 4; i++) m.v[i] = vcleq_##suffix(a.v[i], b.v[i]);                                           \
        return m;                                                                                                      \
    }                                                                                                                  \
    inline Vector##Mask equal(Vector a, Vector b) {                                                                    \
        Vector##Mask m;                                                                                                \
        for (int i = 0; i < 4; i++) m.v[i] = vceqq_##suffix(a.v[i], b.v[i]);                                           \
        return m;                                                                                                      \
    }                                                                                                                  \
    inline Vector select(Vector##Mask m, Vector a, Vector b) {                                                         \
        for (int i = 0; i < 4; i++) a.v[i] = vbslq_##suffix(m.v[i], a.v[i], b.v[i]);                                   \
        return a;                                                                                                      \
    }                                                                                                                  \
    inline Vector multiply_where(Vector##Mask m, Vector a, Vector b) {                                                 \
        return select(m, a, broadcast(static_cast<Scalar>(0))) * b;                                                    \
    }                                                                                                                  \
    inline int count(Vector##Mask m) {                                                                                 \
        return lanes_set(m.v[0]) + lanes_set(m.v[1]) + lanes_set(m.v[2]) + lanes_set(m.v[3]);                          \
    }

LANEWISE(Floats, float, 16, f32)
LANEWISE(Doubles, double, 8, f64)
#undef LANEWISE

// Of vectors whose lanes are all the same.
inline Floats uniform(Floats x) { return x; }
inline Doubles uniform(Doubles x) { return x; }

// The largest of the lanes. (Of a NaN either it or another lane.)
inline float largest_lane(Floats a) {
    return vmaxvq_f32(vmaxq_f32(vmaxq_f32(a.v[0], a.v[1]), vmaxq_f32(a.v[2], a.v[3])));
}
inline double largest_lane(Doubles a) {
    return vmaxvq_f64(vmaxq_f64(vmaxq_f64(a.v[0], a.v[1]), vmaxq_f64(a.v[2], a.v[3])));
}

// Sixteen floats or eight doubles, looked up by the low four or three bits of each lane: its lowest byte, spread over
// the lane, chooses bytes.
struct FloatsTable {
    uint8x16x4_t bytes;
};
struct DoublesTable {
    uint8x16x4_t bytes;
};
inline FloatsTable load_table(const float* p) { return {vld1q_u8_x4(reinterpret_cast<const uint8_t*>(p))}; }
inline DoublesTable load_table(const double* p) { return {vld1q_u8_x4(reinterpret_cast<const uint8_t*>(p))}; }
inline Floats lookup(const FloatsTable& t, Floats index) {
    const uint8x16_t spread = {0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12};
    const uint8x16_t within = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3};
    for (int i = 0; i < 4; i++) {
        uint8x16_t low = vandq_u8(vqtbl1q_u8(vreinterpretq_u8_f32(index.v[i]), spread), vdupq_n_u8(15));
        index.v[i] = vreinterpretq_f32_u8(vqtbl4q_u8(t.bytes, vaddq_u8(vshlq_n_u8(low, 2), within)));
    }
    return index;
}
inline Doubles lookup(const DoublesTable& t, Doubles index) {
    const uint8x16_t spread = {0, 0, 0, 0, 0, 0, 0, 0, 8, 8, 8, 8, 8, 8, 8, 8};
    const uint8x16_t within = {0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7};
    for (int i = 0; i < 4; i++) {
        uint8x16_t low = vandq_u8(vqtbl1q_u8(vreinterpretq_u8_f64(index.v[i]), spread), vdupq_n_u8(7));
        index.v[i] = vreinterpretq_f64_u8(vqtbl4q_u8(t.bytes, vaddq_u8(vshlq_n_u8(low, 3), within)));
    }
    return index;
}

inline Floats exponent_of(Floats n) {
    for (auto& v : n.v) v = vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(v), 19));
    return n;
}
inline Doubles add_exponent(Doubles a, Doubles n) {
    for (int i = 0; i < 4; i++) {
        uint64x2_t shifted = vshlq_n_u64(vreinterpretq_u64_f64(n.v[i]), 49);
        a.v[i] = vreinterpretq_f64_u64(vaddq_u64(vreinterpretq_u64_f64(a.v[i]), shifted));
    }
    return a;
}
inline void split_exponent(Doubles u, Doubles& fraction, Doubles& exponent) {
    for (int i = 0; i < 4; i++) {
        uint64x2_t bits = vreinterpretq_u64_f64(u.v[i]);
        uint64x2_t k = vshrq_n_u64(vsubq_u64(bits, vdupq_n_u64(0x3FE8000000000000ull)), 52);
        fraction.v[i] = vreinterpretq_f64_u64(vsubq_u64(bits, vshlq_n_u64(k, 52)));
        exponent.v[i] = vcvtq_f64_u64(k);
    }
}

inline void widen(Floats a, Doubles& low, Doubles& high) {
    for (int i = 0; i < 2; i++) {
        low.v[2 * i] = vcvt_f64_f32(vget_low_f32(a.v[i]));
        low.v[2 * i + 1] = vcvt_high_f64_f32(a.v[i]);
        high.v[2 * i] = vcvt_f64_f32(vget_low_f32(a.v[i + 2]));
        high.v[2 * i + 1] = vcvt_high_f64_f32(a.v[i + 2]);
    }
}
inline Floats narrow(Doubles low, Doubles high) {
    Floats r;
    for (int i = 0; i < 2; i++) {
        r.v[i] = vcvt_high_f32_f64(vcvt_f32_f64(low.v[2 * i]), low.v[2 * i + 1]);
        r.v[i + 2] = vcvt_high_f32_f64(vcvt_f32_f64(high.v[2 * i]), high.v[2 * i + 1]);
    }
    return r;
}

inline Floats load_half(const uint16_t* p) {
    Floats r;
    for (int i = 0; i < 4; i++) r.v[i] = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i)));
    return r;
}
inline void store_half(uint16_t* p, Floats a) {
    for (int i = 0; i < 4; i++) vst1_u16(p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(a.v[i])));
}
inline Floats load_bfloat(const uint16_t* p) {
    Floats r;
    for (int i = 0; i < 4; i++) r.v[i] = vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16));
    return r;
}
inline void store_bfloat(uint16_t* p, Floats a) {
    for (int i = 0; i < 4; i++) {
        uint32x4_t bits = vreinterpretq_u32_f32(a.v[i]), top = vshrq_n_u32(bits, 16);
        uint32x4_t odd = vandq_u32(top, vdupq_n_u32(1));
        uint32x4_t rounded = vshrq_n_u32(vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd), 16);
        uint32x4_t quiet = vorrq_u32(top, vdupq_n_u32(0x40));
        vst1_u16(p + 4 * i, vmovn_u32(vbslq_u32(vceqq_f32(a.v[i], a.v[i]), rounded, quiet)));
    }
}

// n of at most sixteen, from and to any address.
inline void copy_words(uint16_t* to, const uint16_t* from, int n) { memcpy(to, from, n * sizeof(uint16_t)); }
inline void stream_words(uint16_t* p, const uint16_t* words) { memcpy(p, words, 32); }

inline void transpose4(float32x4_t r[4]) {
    float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(r[0], r[1])), b = vreinterpretq_f64_f32(vtrn2q_f32(r[0], r[1]));
    float64x2_t c = vreinterpretq_f64_f32(vtrn1q_f32(r[2], r[3])), d = vreinterpretq_f64_f32(vtrn2q_f32(r[2], r[3]));
    r[0] = vreinterpretq_f32_f64(vtrn1q_f64(a, c));
    r[1] = vreinterpretq_f32_f64(vtrn1q_f64(b, d));
    r[2] = vreinterpretq_f32_f64(vtrn2q_f64(a, c));
    r[3] = vreinterpretq_f32_f64(vtrn2q_f64(b, d));
}
inline void transpose(Floats row[16]) {
    Floats turned[16];
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            float32x4_t block[4];
            for (int k = 0; k < 4; k++) block[k] = row[4 * i + k].v[j];
            transpose4(block);
            for (int k = 0; k < 4; k++) turned[4 * j + k].v[i] = block[k];
        }
    for (int i = 0; i < 16; i++) row[i] = turned[i];
}
inline void transpose(Doubles row[8]) {
    Doubles turned[8];
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            turned[2 * j].v[i] = vtrn1q_f64(row[2 * i].v[j], row[2 * i + 1].v[j]);
            turned[2 * j + 1].v[i] = vtrn2q_f64(row[2 * i].v[j], row[2 * i + 1].v[j]);
        }
    for (int i = 0; i < 8; i++) row[i] = turned[i];
}

// Writes the chosen lanes one after the other, and anything behind them; room for sixteen is needed.
template <class Number> inline void compress(Number* to, FloatsMask m, const Number from[16]) {
    uint32_t chosen[16];
    for (int i = 0; i < 4; i++) vst1q_u32(chosen + 4 * i, vshrq_n_u32(m.v[i], 31));
    for (int i = 0; i < 16; i++) {
        *to = from[i];
        to += chosen[i];
    }
}
inline void compress(float* to, FloatsMask m, Floats a) {
    float lane[16];
    store(lane, a);
    compress(to, m, lane);
}

// Four floats of each of sixteen rows that begin `stride` bytes apart, turned: out[c] holds column c. And back.
inline void load_columns(const char* p, ptrdiff_t stride, Floats out[4]) {
    for (int i = 0; i < 4; i++) {
        float32x4_t block[4];
        for (int k = 0; k < 4; k++) block[k] = vld1q_f32(reinterpret_cast<const float*>(p + (4 * i + k) * stride));
        transpose4(block);
        for (int k = 0; k < 4; k++) out[k].v[i] = block[k];
    }
}
inline void store_columns(const Floats in[4], char* p, ptrdiff_t stride) {
    for (int i = 0; i < 4; i++) {
        float32x4_t block[4];
        for (int k = 0; k < 4; k++) block[k] = in[k].v[i];
        transpose4(block);
        for (int k = 0; k < 4; k++) vst1q_f32(reinterpret_cast<float*>(p + (4 * i + k) * stride), block[k]);
    }
}

inline float fused(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline double fused(double a, double b, double c) { return __builtin_fma(a, b, c); }

// Into the first or the second level of the cache; any address will do.
inline void prefetch(const void* p) { __builtin_prefetch(p, 0, 3); }
inline void prefetch_to_write(const void* p) { __builtin_prefetch(p, 1, 3); }
inline void prefetch_far(const void* p) { __builtin_prefetch(p, 0, 2); }

inline void fence() {}

}  // namespace
