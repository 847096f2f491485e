// Sixteen float lanes or eight double lanes in two AVX2 registers (with FMA and F16C).
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace {

constexpr const char* lanes_name = "avx2";
constexpr int interleaved = 1;  // vectors that are worked on together where each waits for its last step
// Four sums at once would take all registers: a block is summed up for one of them, and then for the next.
constexpr bool sums_in_turn = true;
struct Permutations {
    static constexpr bool exist = false;  // of any lanes of two vectors
};
constexpr bool lower_of_negative = false;  // lower_of() is right for all signs
template <class Vector> inline Vector lower_of(Vector a, Vector b) { return minimum(a, b); }
template <class Vector> inline void hold(Vector&) {}

// Copied register by register: GCC copies a plain structure of two in quarters, and what loads a half then waits for
// both of its quarters to be stored.
#define HALVES(Name, Half)                                                                                             \
    struct Name {                                                                                                      \
        Half a, b;                                                                                                     \
        Name() = default;                                                                                              \
        inline Name(Half first, Half second) : a(first), b(second) {}                                                  \
        inline Name(const Name& from) : a(from.a), b(from.b) {}                                                        \
        inline Name& operator=(const Name& from) {                                                                     \
            a = from.a;                                                                                                \
            b = from.b;                                                                                                \
            return *this;                                                                                              \
        }                                                                                                              \
    };
HALVES(Floats, __m256)
HALVES(Doubles, __m256d)
HALVES(FloatsMask, __m256)
HALVES(DoublesMask, __m256d)
#undef HALVES

inline __m256i first_floats(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline __m256i first_doubles(int n) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}

#define LANEWISE(Vector, Scalar, Half, suffix, half)                                                                   \
    inline Vector broadcast(Scalar x) { return {_mm256_set1_##suffix(x), _mm256_set1_##suffix(x)}; }                   \
    inline Vector load(const Scalar* p) { return {_mm256_loadu_##suffix(p), _mm256_loadu_##suffix(p + half)}; }        \
    inline void store(Scalar* p, Vector x) {                                                                           \
        _mm256_storeu_##suffix(p, x.a);                                                                                \
        _mm256_storeu_##suffix(p + half, x.b);                                                                         \
    }                                                                                                                  \
    inline void stream(Scalar* p, Vector x) {                                                                          \
        _mm256_stream_##suffix(p, x.a);                                                                                \
        _mm256_stream_##suffix(p + half, x.b);                                                                         \
    }                                                                                                                  \
    inline Vector operator+(Vector x, Vector y) {                                                                      \
        return {_mm256_add_##suffix(x.a, y.a), _mm256_add_##suffix(x.b, y.b)};                                         \
    }                                                                                                                  \
    inline Vector operator-(Vector x, Vector y) {                                                                      \
        return {_mm256_sub_##suffix(x.a, y.a), _mm256_sub_##suffix(x.b, y.b)};                                         \
    }                                                                                                                  \
    inline Vector operator*(Vector x, Vector y) {                                                                      \
        return {_mm256_mul_##suffix(x.a, y.a), _mm256_mul_##suffix(x.b, y.b)};                                         \
    }                                                                                                                  \
    inline Vector operator/(Vector x, Vector y) {                                                                      \
        return {_mm256_div_##suffix(x.a, y.a), _mm256_div_##suffix(x.b, y.b)};                                         \
    }                                                                                                                  \
    inline Vector fma(Vector x, Vector y, Vector z) {                                                                  \
        return {_mm256_fmadd_##suffix(x.a, y.a, z.a), _mm256_fmadd_##suffix(x.b, y.b, z.b)};                           \
    }                                                                                                                  \
    inline Vector fms(Vector x, Vector y, Vector z) {                                                                  \
        return {_mm256_fmsub_##suffix(x.a, y.a, z.a), _mm256_fmsub_##suffix(x.b, y.b, z.b)};                           \
    }                                                                                                                  \
    inline Vector maximum(Vector x, Vector y) {                                                                        \
        return {_mm256_max_##suffix(x.a, y.a), _mm256_max_##suffix(x.b, y.b)};                                         \
    }                                                                                                                  \
    inline Vector minimum(Vector x, Vector y) {                                                                        \
        return {_mm256_min_##suffix(x.a, y.a), _mm256_min_##suffix(x.b, y.b)};                                         \
    }                                                                                                                  \
    inline Vector absolute(Vector x) {                                                                                 \
        Half sign = _mm256_set1_##suffix(-0.0);                                                                        \
        return {_mm256_andnot_##suffix(sign, x.a), _mm256_andnot_##suffix(sign, x.b)};                                 \
    }                                                                                                                  \
    inline Vector##Mask less(Vector x, Vector y) {                                                                     \
        return {_mm256_cmp_##suffix(x.a, y.a, _CMP_LT_OQ), _mm256_cmp_##suffix(x.b, y.b, _CMP_LT_OQ)};                 \
    }                                                                                                                  \
    inline Vector##Mask less_equal(Vector x, Vector y) {                                                               \
        return {_mm256_cmp_##suffix(x.a, y.a, _CMP_LE_OQ), _mm256_cmp_##suffix(x.b, y.b, _CMP_LE_OQ)};                 \
    }                                                                                                                  \
    inline Vector##Mask equal(Vector x, Vector y) {                                                                    \
        return {_mm256_cmp_##suffix(x.a, y.a, _CMP_EQ_OQ), _mm256_cmp_##suffix(x.b, y.b, _CMP_EQ_OQ)};                 \
    }                                                                                                                  \
    inline Vector select(Vector##Mask m, Vector x, Vector y) {                                                         \
        return {_mm256_blendv_##suffix(y.a, x.a, m.a), _mm256_blendv_##suffix(y.b, x.b, m.b)};                         \
    }                                                                                                                  \
    inline Vector multiply_where(Vector##Mask m, Vector x, Vector y) {                                                 \
        return Vector{_mm256_and_##suffix(m.a, x.a), _mm256_and_##suffix(m.b, x.b)} * y;                               \
    }                                                                                                                  \
    inline int count(Vector##Mask m) {                                                                                 \
        return __builtin_popcount(_mm256_movemask_##suffix(m.a)) + __builtin_popcount(_mm256_movemask_##suffix(m.b));  \
    }

LANEWISE(Floats, float, __m256, ps, 8)
LANEWISE(Doubles, double, __m256d, pd, 4)
#undef LANEWISE

// Of vectors whose lanes are all the same: one register then does for both halves.
inline Floats uniform(Floats x) { return {x.a, x.a}; }
inline Doubles uniform(Doubles x) { return {x.a, x.a}; }

// The largest of the lanes. (Of a NaN either it or another lane.)
inline float largest_lane(Floats x) {
    const __m256 eight = _mm256_max_ps(x.a, x.b);
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}
inline double largest_lane(Doubles x) {
    const __m256d four = _mm256_max_pd(x.a, x.b);
    const __m128d two = _mm_max_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_max_sd(two, _mm_unpackhi_pd(two, two)));
}

// Masked loads never touch the lanes left out; blending puts the fill there.
inline Floats load_partial(const float* p, int n, float fill) {
    __m256 filled = _mm256_set1_ps(fill);
    __m256i m = first_floats(n);
    __m256 a = _mm256_blendv_ps(filled, _mm256_maskload_ps(p, m), _mm256_castsi256_ps(m));
    if (n <= 8) return {a, filled};
    m = first_floats(n - 8);
    return {a, _mm256_blendv_ps(filled, _mm256_maskload_ps(p + 8, m), _mm256_castsi256_ps(m))};
}
inline void store_partial(float* p, Floats x, int n) {
    _mm256_maskstore_ps(p, first_floats(n), x.a);
    if (n > 8) _mm256_maskstore_ps(p + 8, first_floats(n - 8), x.b);
}
inline Doubles load_partial(const double* p, int n, double fill) {
    __m256d filled = _mm256_set1_pd(fill);
    __m256i m = first_doubles(n);
    __m256d a = _mm256_blendv_pd(filled, _mm256_maskload_pd(p, m), _mm256_castsi256_pd(m));
    if (n <= 4) return {a, filled};
    m = first_doubles(n - 4);
    return {a, _mm256_blendv_pd(filled, _mm256_maskload_pd(p + 4, m), _mm256_castsi256_pd(m))};
}
inline void store_partial(double* p, Doubles x, int n) {
    _mm256_maskstore_pd(p, first_doubles(n), x.a);
    if (n > 4) _mm256_maskstore_pd(p + 4, first_doubles(n - 4), x.b);
}

struct FloatsTable {
    __m256 first, second;  // eight entries each
};
struct DoublesTable {
    __m256i low, high;  // the halves of eight doubles
};
inline FloatsTable load_table(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline DoublesTable load_table(const double* p) {
    int low[8], high[8];
    for (int i = 0; i < 8; i++) {
        memcpy(low + i, reinterpret_cast<const char*>(p + i), 4);
        memcpy(high + i, reinterpret_cast<const char*>(p + i) + 4, 4);
    }
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(low)),
            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(high))};
}
// (The fourth lowest bit, moved to the sign, chooses between both halves.)
inline __m256 lookup(const FloatsTable& t, __m256 index) {
    const __m256i i = _mm256_castps_si256(index);
    const __m256 first = _mm256_permutevar8x32_ps(t.first, i), second = _mm256_permutevar8x32_ps(t.second, i);
    return _mm256_blendv_ps(first, second, _mm256_castsi256_ps(_mm256_slli_epi32(i, 28)));
}
inline Floats lookup(const FloatsTable& t, Floats index) { return {lookup(t, index.a), lookup(t, index.b)}; }
// (Two permutations of halves: gathering takes several times as long.)
inline __m256d lookup(const DoublesTable& t, __m256d index) {
    const __m256i both = _mm256_castps_si256(_mm256_moveldup_ps(_mm256_castpd_ps(index)));
    const __m256i low = _mm256_permutevar8x32_epi32(t.low, both), high = _mm256_permutevar8x32_epi32(t.high, both);
    return _mm256_castsi256_pd(_mm256_blend_epi32(low, high, 0xaa));
}
inline Doubles lookup(const DoublesTable& t, Doubles index) { return {lookup(t, index.a), lookup(t, index.b)}; }

inline __m256 exponent_of(__m256 n) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(n), 19)); }
inline __m256d add_exponent(__m256d x, __m256d n) {
    __m256i shifted = _mm256_slli_epi64(_mm256_castpd_si256(n), 49);
    return _mm256_castsi256_pd(_mm256_add_epi64(_mm256_castpd_si256(x), shifted));
}
inline Floats exponent_of(Floats n) { return {exponent_of(n.a), exponent_of(n.b)}; }
inline Doubles add_exponent(Doubles x, Doubles n) { return {add_exponent(x.a, n.a), add_exponent(x.b, n.b)}; }

inline void split_exponent(__m256d u, __m256d& fraction, __m256d& exponent) {
    __m256i bits = _mm256_castpd_si256(u);
    __m256i k = _mm256_srli_epi64(_mm256_sub_epi64(bits, _mm256_set1_epi64x(0x3FE8000000000000ll)), 52);
    fraction = _mm256_castsi256_pd(_mm256_sub_epi64(bits, _mm256_slli_epi64(k, 52)));
    __m256d shifted = _mm256_castsi256_pd(_mm256_or_si256(k, _mm256_set1_epi64x(0x4330000000000000ll)));
    exponent = _mm256_sub_pd(shifted, _mm256_set1_pd(0x1p52));
}
inline void split_exponent(Doubles u, Doubles& fraction, Doubles& exponent) {
    split_exponent(u.a, fraction.a, exponent.a);
    split_exponent(u.b, fraction.b, exponent.b);
}

inline void widen(Floats x, Doubles& low, Doubles& high) {
    low = {_mm256_cvtps_pd(_mm256_castps256_ps128(x.a)), _mm256_cvtps_pd(_mm256_extractf128_ps(x.a, 1))};
    high = {_mm256_cvtps_pd(_mm256_castps256_ps128(x.b)), _mm256_cvtps_pd(_mm256_extractf128_ps(x.b, 1))};
}
inline __m256 narrow(__m256d x, __m256d y) {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(x)), _mm256_cvtpd_ps(y), 1);
}
inline Floats narrow(Doubles low, Doubles high) { return {narrow(low.a, low.b), narrow(high.a, high.b)}; }

inline __m128i load_words(const uint16_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
inline void store_words(uint16_t* p, __m128i x) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), x); }
inline Floats load_half(const uint16_t* p) {
    return {_mm256_cvtph_ps(load_words(p)), _mm256_cvtph_ps(load_words(p + 8))};
}
inline void store_half(uint16_t* p, Floats x) {
    store_words(p, _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT));
    store_words(p + 8, _mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT));
}
inline __m256 bfloat_to_float(__m128i words) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(words), 16));
}
inline Floats load_bfloat(const uint16_t* p) {
    return {bfloat_to_float(load_words(p)), bfloat_to_float(load_words(p + 8))};
}
inline __m256i float_to_bfloat(__m256 x) {
    __m256i bits = _mm256_castps_si256(x);
    __m256i top = _mm256_srli_epi32(bits, 16);
    __m256i odd = _mm256_and_si256(top, _mm256_set1_epi32(1));
    __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd), 16);
    __m256 quiet = _mm256_castsi256_ps(_mm256_or_si256(top, _mm256_set1_epi32(0x40)));
    __m256 nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
    return _mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(rounded), quiet, nan));
}
inline void store_bfloat(uint16_t* p, Floats x) {
    __m256i packed = _mm256_packus_epi32(float_to_bfloat(x.a), float_to_bfloat(x.b));
    packed = _mm256_permute4x64_epi64(packed, 0xd8);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), packed);
}

// n of at most sixteen, from and to any address.
inline void copy_words(uint16_t* to, const uint16_t* from, int n) { memcpy(to, from, n * sizeof(uint16_t)); }
inline void stream_words(uint16_t* p, const uint16_t* words) {
    _mm256_stream_si256(reinterpret_cast<__m256i*>(p), _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words)));
}

inline void transpose8(__m256 r[8]) {
    __m256 t[8], u[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        u[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        u[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        u[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        u[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
    }
}
inline void transpose(Floats row[16]) {
    __m256 quarter[4][8];
    for (int i = 0; i < 8; i++) {
        quarter[0][i] = row[i].a;
        quarter[1][i] = row[i].b;
        quarter[2][i] = row[i + 8].a;
        quarter[3][i] = row[i + 8].b;
    }
    for (int q = 0; q < 4; q++) transpose8(quarter[q]);
    for (int i = 0; i < 8; i++) {
        row[i] = {quarter[0][i], quarter[2][i]};
        row[i + 8] = {quarter[1][i], quarter[3][i]};
    }
}
inline void transpose4(__m256d r[4]) {
    __m256d t0 = _mm256_unpacklo_pd(r[0], r[1]), t1 = _mm256_unpackhi_pd(r[0], r[1]);
    __m256d t2 = _mm256_unpacklo_pd(r[2], r[3]), t3 = _mm256_unpackhi_pd(r[2], r[3]);
    r[0] = _mm256_permute2f128_pd(t0, t2, 0x20);
    r[1] = _mm256_permute2f128_pd(t1, t3, 0x20);
    r[2] = _mm256_permute2f128_pd(t0, t2, 0x31);
    r[3] = _mm256_permute2f128_pd(t1, t3, 0x31);
}
inline void transpose(Doubles row[8]) {
    __m256d quarter[4][4];
    for (int i = 0; i < 4; i++) {
        quarter[0][i] = row[i].a;
        quarter[1][i] = row[i].b;
        quarter[2][i] = row[i + 4].a;
        quarter[3][i] = row[i + 4].b;
    }
    for (int q = 0; q < 4; q++) transpose4(quarter[q]);
    for (int i = 0; i < 4; i++) {
        row[i] = {quarter[0][i], quarter[2][i]};
        row[i + 4] = {quarter[1][i], quarter[3][i]};
    }
}

// Writes the chosen lanes one after the other, and anything behind them; room for sixteen is needed.
template <class Number> inline void compress(Number* to, FloatsMask m, const Number from[16]) {
    unsigned chosen = _mm256_movemask_ps(m.a) | _mm256_movemask_ps(m.b) << 8;
    for (; chosen; chosen &= chosen - 1) *to++ = from[__builtin_ctz(chosen)];
}
inline void compress(float* to, FloatsMask m, Floats a) {
    float lane[16];
    store(lane, a);
    compress(to, m, lane);
}

inline float fused(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline double fused(double a, double b, double c) { return __builtin_fma(a, b, c); }

// Four floats of each of sixteen rows that begin `stride` bytes apart, turned: out[c] holds column c. And back.
inline void turn4(__m256 r[4]) {
    __m256 a = _mm256_unpacklo_ps(r[0], r[1]), b = _mm256_unpackhi_ps(r[0], r[1]);
    __m256 c = _mm256_unpacklo_ps(r[2], r[3]), d = _mm256_unpackhi_ps(r[2], r[3]);
    r[0] = _mm256_shuffle_ps(a, c, 0x44);
    r[1] = _mm256_shuffle_ps(a, c, 0xee);
    r[2] = _mm256_shuffle_ps(b, d, 0x44);
    r[3] = _mm256_shuffle_ps(b, d, 0xee);
}
inline __m128 four(const char* p) { return _mm_loadu_ps(reinterpret_cast<const float*>(p)); }
inline void put_four(char* p, __m128 a) { _mm_storeu_ps(reinterpret_cast<float*>(p), a); }
inline void load_columns(const char* p, ptrdiff_t stride, Floats out[4]) {
    __m256 low[4], high[4];
    for (int i = 0; i < 4; i++) {
        low[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(four(p + i * stride)), four(p + (i + 4) * stride), 1);
        high[i] =
            _mm256_insertf128_ps(_mm256_castps128_ps256(four(p + (i + 8) * stride)), four(p + (i + 12) * stride), 1);
    }
    turn4(low);
    turn4(high);
    for (int i = 0; i < 4; i++) out[i] = {low[i], high[i]};
}
inline void store_columns(const Floats in[4], char* p, ptrdiff_t stride) {
    __m256 low[4], high[4];
    for (int i = 0; i < 4; i++) low[i] = in[i].a, high[i] = in[i].b;
    turn4(low);
    turn4(high);
    for (int i = 0; i < 4; i++) {
        put_four(p + i * stride, _mm256_castps256_ps128(low[i]));
        put_four(p + (i + 4) * stride, _mm256_extractf128_ps(low[i], 1));
        put_four(p + (i + 8) * stride, _mm256_castps256_ps128(high[i]));
        put_four(p + (i + 12) * stride, _mm256_extractf128_ps(high[i], 1));
    }
}

// Into the first or the second level of the cache; any address will do.
// (As assembly: GCC takes a function that only prefetches for one without effect, and drops the calls.)
inline void prefetch(const void* p) { asm volatile("prefetcht0 %0" : : "m"(*static_cast<const char*>(p))); }
inline void prefetch_to_write(const void* p) { asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(p))); }
inline void prefetch_far(const void* p) { asm volatile("prefetcht1 %0" : : "m"(*static_cast<const char*>(p))); }

inline void fence() { _mm_sfence(); }

}  // namespace
