// Sixteen float lanes or eight double lanes in one AVX-512 register (F, BW, DQ, VL).
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace {

constexpr const char* lanes_name = "avx512";
constexpr int interleaved = 4;        // vectors that are worked on together where each waits for its last step
constexpr bool sums_in_turn = false;  // four sums at once fit the registers
// lower_of() compares the bits as integers, in a unit that maximum() leaves free: right where one of both is negative.
constexpr bool lower_of_negative = true;

struct Floats {
    __m512 v;
};
struct Doubles {
    __m512d v;
};
struct FloatsMask {
    __mmask16 m;
};
struct DoublesMask {
    __mmask8 m;
};

inline __mmask16 first_floats(int n) { return static_cast<__mmask16>((1u << n) - 1); }
inline __mmask8 first_doubles(int n) { return static_cast<__mmask8>((1u << n) - 1); }

// Keeps a vector that was loaded in a register: GCC would load it again for each operation on it.
inline void hold(Floats& a) { asm("" : "+v"(a.v)); }
inline void hold(Doubles& a) { asm("" : "+v"(a.v)); }

inline Floats broadcast(float x) { return {_mm512_set1_ps(x)}; }
inline Floats load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline void store(float* p, Floats a) { _mm512_storeu_ps(p, a.v); }
inline void stream(float* p, Floats a) { _mm512_stream_ps(p, a.v); }
inline Floats load_partial(const float* p, int n, float fill) {
    return {_mm512_mask_loadu_ps(_mm512_set1_ps(fill), first_floats(n), p)};
}
inline void store_partial(float* p, Floats a, int n) { _mm512_mask_storeu_ps(p, first_floats(n), a.v); }
inline Floats operator+(Floats a, Floats b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Floats operator-(Floats a, Floats b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Floats operator*(Floats a, Floats b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Floats operator/(Floats a, Floats b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Floats fma(Floats a, Floats b, Floats c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline Floats fms(Floats a, Floats b, Floats c) { return {_mm512_fmsub_ps(a.v, b.v, c.v)}; }
inline Floats maximum(Floats a, Floats b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Floats minimum(Floats a, Floats b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Floats lower_of(Floats a, Floats b) {
    return {_mm512_castsi512_ps(_mm512_max_epu32(_mm512_castps_si512(a.v), _mm512_castps_si512(b.v)))};
}
inline Floats absolute(Floats a) { return {_mm512_abs_ps(a.v)}; }
inline FloatsMask less(Floats a, Floats b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
inline FloatsMask less_equal(Floats a, Floats b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
inline FloatsMask equal(Floats a, Floats b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
inline Floats select(FloatsMask m, Floats a, Floats b) { return {_mm512_mask_blend_ps(m.m, b.v, a.v)}; }
inline Floats multiply_where(FloatsMask m, Floats a, Floats b) { return {_mm512_maskz_mul_ps(m.m, a.v, b.v)}; }
// (Widened by assembly: GCC 12 may spill the sixteen bits of a mask, and count the thirty-two that it finds there.)
inline int count(FloatsMask m) {
    uint32_t bits;
    asm("kmovw %1, %0" : "=r"(bits) : "k"(m.m));
    return __builtin_popcount(bits);
}

inline Doubles broadcast(double x) { return {_mm512_set1_pd(x)}; }
inline Doubles load(const double* p) { return {_mm512_loadu_pd(p)}; }
inline void store(double* p, Doubles a) { _mm512_storeu_pd(p, a.v); }
inline void stream(double* p, Doubles a) { _mm512_stream_pd(p, a.v); }
inline Doubles load_partial(const double* p, int n, double fill) {
    return {_mm512_mask_loadu_pd(_mm512_set1_pd(fill), first_doubles(n), p)};
}
inline void store_partial(double* p, Doubles a, int n) { _mm512_mask_storeu_pd(p, first_doubles(n), a.v); }
inline Doubles operator+(Doubles a, Doubles b) { return {_mm512_add_pd(a.v, b.v)}; }
inline Doubles operator-(Doubles a, Doubles b) { return {_mm512_sub_pd(a.v, b.v)}; }
inline Doubles operator*(Doubles a, Doubles b) { return {_mm512_mul_pd(a.v, b.v)}; }
inline Doubles operator/(Doubles a, Doubles b) { return {_mm512_div_pd(a.v, b.v)}; }
inline Doubles fma(Doubles a, Doubles b, Doubles c) { return {_mm512_fmadd_pd(a.v, b.v, c.v)}; }
inline Doubles fms(Doubles a, Doubles b, Doubles c) { return {_mm512_fmsub_pd(a.v, b.v, c.v)}; }
inline Doubles maximum(Doubles a, Doubles b) { return {_mm512_max_pd(a.v, b.v)}; }
inline Doubles minimum(Doubles a, Doubles b) { return {_mm512_min_pd(a.v, b.v)}; }
inline Doubles lower_of(Doubles a, Doubles b) {
    return {_mm512_castsi512_pd(_mm512_max_epu64(_mm512_castpd_si512(a.v), _mm512_castpd_si512(b.v)))};
}
inline Doubles absolute(Doubles a) { return {_mm512_abs_pd(a.v)}; }
inline DoublesMask less(Doubles a, Doubles b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_LT_OQ)}; }
inline DoublesMask less_equal(Doubles a, Doubles b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_LE_OQ)}; }
inline DoublesMask equal(Doubles a, Doubles b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_EQ_OQ)}; }
inline Doubles select(DoublesMask m, Doubles a, Doubles b) { return {_mm512_mask_blend_pd(m.m, b.v, a.v)}; }
inline Doubles multiply_where(DoublesMask m, Doubles a, Doubles b) { return {_mm512_maskz_mul_pd(m.m, a.v, b.v)}; }
inline int count(DoublesMask m) {
    uint32_t bits;
    asm("kmovb %1, %0" : "=r"(bits) : "k"(m.m));
    return __builtin_popcount(bits);
}

// Of vectors whose lanes are all the same.
inline Floats uniform(Floats x) { return x; }
inline Doubles uniform(Doubles x) { return x; }

// The largest of the lanes. (Of a NaN either it or another lane.)
inline float largest_lane(Floats a) { return _mm512_reduce_max_ps(a.v); }
inline double largest_lane(Doubles a) { return _mm512_reduce_max_pd(a.v); }

struct FloatsTable {
    __m512 v;
};
struct DoublesTable {
    __m512d v;
};
inline FloatsTable load_table(const float* p) { return {_mm512_loadu_ps(p)}; }
inline DoublesTable load_table(const double* p) { return {_mm512_loadu_pd(p)}; }
inline Floats lookup(FloatsTable t, Floats index) { return {_mm512_permutexvar_ps(_mm512_castps_si512(index.v), t.v)}; }
inline Doubles lookup(DoublesTable t, Doubles index) {
    return {_mm512_permutexvar_pd(_mm512_castpd_si512(index.v), t.v)};
}

inline Floats exponent_of(Floats n) { return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(n.v), 19))}; }
inline Doubles add_exponent(Doubles a, Doubles n) {
    __m512i shifted = _mm512_slli_epi64(_mm512_castpd_si512(n.v), 49);
    return {_mm512_castsi512_pd(_mm512_add_epi64(_mm512_castpd_si512(a.v), shifted))};
}
inline void split_exponent(Doubles u, Doubles& fraction, Doubles& exponent) {
    __m512i bits = _mm512_castpd_si512(u.v);
    __m512i k = _mm512_srli_epi64(_mm512_sub_epi64(bits, _mm512_set1_epi64(0x3FE8000000000000ll)), 52);
    fraction.v = _mm512_castsi512_pd(_mm512_sub_epi64(bits, _mm512_slli_epi64(k, 52)));
    exponent.v = _mm512_cvtepi64_pd(k);
}

inline void widen(Floats a, Doubles& low, Doubles& high) {
    low.v = _mm512_cvtps_pd(_mm512_castps512_ps256(a.v));
    high.v = _mm512_cvtps_pd(_mm512_extractf32x8_ps(a.v, 1));
}
inline Floats narrow(Doubles low, Doubles high) {
    __m512 lower = _mm512_castps256_ps512(_mm512_cvtpd_ps(low.v));
    return {_mm512_insertf32x8(lower, _mm512_cvtpd_ps(high.v), 1)};
}

inline Floats load_half(const uint16_t* p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
inline void store_half(uint16_t* p, Floats a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT));
}
inline Floats load_bfloat(const uint16_t* p) {
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}
inline void store_bfloat(uint16_t* p, Floats a) {
    __m512i bits = _mm512_castps_si512(a.v);
    __m512i top = _mm512_srli_epi32(bits, 16);
    __m512i odd = _mm512_and_si512(top, _mm512_set1_epi32(1));
    __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd), 16);
    __mmask16 nan = _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q);
    rounded = _mm512_mask_or_epi32(rounded, nan, top, _mm512_set1_epi32(0x40));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(rounded));
}

// n of at most sixteen, from and to any address.
inline void copy_words(uint16_t* to, const uint16_t* from, int n) {
    _mm256_mask_storeu_epi16(to, first_floats(n), _mm256_maskz_loadu_epi16(first_floats(n), from));
}
inline void stream_words(uint16_t* p, const uint16_t* words) {
    _mm256_stream_si256(reinterpret_cast<__m256i*>(p), _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words)));
}

inline void transpose(Floats row[16]) {
    __m512 t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(row[i].v, row[i + 1].v);
        t[i + 1] = _mm512_unpackhi_ps(row[i].v, row[i + 1].v);
    }
    __m512 u[16];
    for (int i = 0; i < 16; i += 4) {
        u[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
        u[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
        u[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        u[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_f32x4(u[i], u[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(u[i], u[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_f32x4(u[i + 8], u[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(u[i + 8], u[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        row[i].v = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        row[i + 8].v = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
        row[i + 4].v = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
        row[i + 12].v = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd);
    }
}
inline void transpose(Doubles row[8]) {
    __m512d t[8], u[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm512_unpacklo_pd(row[i].v, row[i + 1].v);
        t[i + 1] = _mm512_unpackhi_pd(row[i].v, row[i + 1].v);
    }
    for (int i = 0; i < 2; i++) {
        u[i] = _mm512_shuffle_f64x2(t[i], t[i + 2], 0x88);
        u[i + 2] = _mm512_shuffle_f64x2(t[i], t[i + 2], 0xdd);
        u[i + 4] = _mm512_shuffle_f64x2(t[i + 4], t[i + 6], 0x88);
        u[i + 6] = _mm512_shuffle_f64x2(t[i + 4], t[i + 6], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        row[i].v = _mm512_shuffle_f64x2(u[i], u[i + 4], 0x88);
        row[i + 4].v = _mm512_shuffle_f64x2(u[i], u[i + 4], 0xdd);
    }
}

// Any lanes of two vectors: lane i of the result is lane index[i] of both, one after the other. And some lanes of each.
struct Permutations {
    static constexpr bool exist = true;
    static Floats pick(Floats a, const int* index, Floats b) {
        return {_mm512_permutex2var_ps(a.v, _mm512_load_si512(index), b.v)};
    }
    template <unsigned lanes> static Floats blend(Floats a, Floats b) {
        return {_mm512_mask_blend_ps(static_cast<__mmask16>(lanes), a.v, b.v)};
    }
};

// Writes the chosen lanes one after the other, and anything behind them; room for sixteen is needed.
inline void compress(float* to, FloatsMask m, Floats a) { _mm512_storeu_ps(to, _mm512_maskz_compress_ps(m.m, a.v)); }
inline void compress(uint32_t* to, FloatsMask m, const uint32_t from[16]) {
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(m.m, _mm512_loadu_si512(from)));
}

inline float fused(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline double fused(double a, double b, double c) { return __builtin_fma(a, b, c); }

// Four floats of each of sixteen rows that begin `stride` bytes apart, turned: out[c] holds column c. And back.
inline void turn4(__m512 r[4]) {
    __m512 a = _mm512_unpacklo_ps(r[0], r[1]), b = _mm512_unpackhi_ps(r[0], r[1]);
    __m512 c = _mm512_unpacklo_ps(r[2], r[3]), d = _mm512_unpackhi_ps(r[2], r[3]);
    r[0] = _mm512_shuffle_ps(a, c, 0x44);
    r[1] = _mm512_shuffle_ps(a, c, 0xee);
    r[2] = _mm512_shuffle_ps(b, d, 0x44);
    r[3] = _mm512_shuffle_ps(b, d, 0xee);
}
inline __m128 four(const char* p) { return _mm_loadu_ps(reinterpret_cast<const float*>(p)); }
inline void put_four(char* p, __m128 a) { _mm_storeu_ps(reinterpret_cast<float*>(p), a); }
inline void load_columns(const char* p, ptrdiff_t stride, Floats out[4]) {
    __m512 r[4];
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_castps128_ps512(four(p + i * stride));
        r[i] = _mm512_insertf32x4(r[i], four(p + (i + 4) * stride), 1);
        r[i] = _mm512_insertf32x4(r[i], four(p + (i + 8) * stride), 2);
        r[i] = _mm512_insertf32x4(r[i], four(p + (i + 12) * stride), 3);
    }
    turn4(r);
    for (int i = 0; i < 4; i++) out[i].v = r[i];
}
inline void store_columns(const Floats in[4], char* p, ptrdiff_t stride) {
    __m512 r[4] = {in[0].v, in[1].v, in[2].v, in[3].v};
    turn4(r);
    for (int i = 0; i < 4; i++) {
        put_four(p + i * stride, _mm512_castps512_ps128(r[i]));
        put_four(p + (i + 4) * stride, _mm512_extractf32x4_ps(r[i], 1));
        put_four(p + (i + 8) * stride, _mm512_extractf32x4_ps(r[i], 2));
        put_four(p + (i + 12) * stride, _mm512_extractf32x4_ps(r[i], 3));
    }
}

// Into the first or the second level of the cache; any address will do.
// (As assembly: GCC takes a function that only prefetches for one without effect, and drops the calls.)
inline void prefetch(const void* p) { asm volatile("prefetcht0 %0" : : "m"(*static_cast<const char*>(p))); }
inline void prefetch_to_write(const void* p) { asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(p))); }
inline void prefetch_far(const void* p) { asm volatile("prefetcht1 %0" : : "m"(*static_cast<const char*>(p))); }

inline void fence() { _mm_sfence(); }

}  // namespace
