// Brings numbers of any dtype, stride and byte order into contiguous ones of the computing type, and back.
#pragma once

#include "elements.h"
#include "kernels.h"

namespace {

using namespace softmaxlib;

template <class S> constexpr DType own_type = DType::float32;
template <> constexpr DType own_type<double> = DType::float64;
template <> constexpr DType own_type<Half> = DType::float16;
template <> constexpr DType own_type<Bfloat> = DType::bfloat16;

template <class S> inline S read(const char* p, bool swapped) {
    S value;
    if (swapped) {
        char bytes[sizeof(S)];
        for (size_t i = 0; i < sizeof(S); i++) bytes[i] = p[sizeof(S) - 1 - i];
        memcpy(&value, bytes, sizeof(S));
    } else {
        memcpy(&value, p, sizeof(S));
    }
    return value;
}
template <class S> inline void write(char* p, S value, bool swapped) {
    if (swapped) {
        char bytes[sizeof(S)];
        memcpy(bytes, &value, sizeof(S));
        for (size_t i = 0; i < sizeof(S); i++) p[i] = bytes[sizeof(S) - 1 - i];
    } else {
        memcpy(p, &value, sizeof(S));
    }
}

template <class T, class S> inline void gather(const char* p, ptrdiff_t stride, Index n, bool swapped, T* to) {
    if (stride == static_cast<ptrdiff_t>(sizeof(S)) && !swapped) {
        for (Index i = 0; i < n; i++) to[i] = static_cast<T>(read<S>(p + i * sizeof(S), false));
    } else {
        for (Index i = 0; i < n; i++) to[i] = static_cast<T>(read<S>(p + i * stride, swapped));
    }
}

// Sixteen-bit floats in one run, as many blocks of sixteen as there are; returns how many numbers that is.
template <bool brain> inline Index gather_blocks(const char* p, Index n, float* to) {
    const uint16_t* words = reinterpret_cast<const uint16_t*>(p);
    Index i = 0;
    for (; i + 16 <= n; i += 16) store(to + i, brain ? load_bfloat(words + i) : load_half(words + i));
    return i;
}
template <bool brain> inline Index gather_blocks(const char*, Index, double*) { return 0; }
template <bool brain> inline Index scatter_blocks(const float* from, Index n, char* p) {
    uint16_t* words = reinterpret_cast<uint16_t*>(p);
    Index i = 0;
    for (; i + 16 <= n; i += 16)
        brain ? store_bfloat(words + i, load(from + i)) : store_half(words + i, load(from + i));
    return i;
}

// Sixteen-bit floats go through blocks of sixteen; missing elements count as zero.
template <class T, bool brain> inline void gather_small(const char* p, ptrdiff_t stride, Index n, bool swapped, T* to) {
    for (Index i = stride == 2 && !swapped ? gather_blocks<brain>(p, n, to) : 0; i < n; i += 16) {
        int here = n - i < 16 ? static_cast<int>(n - i) : 16;
        uint16_t words[16] = {};
        for (int k = 0; k < here; k++) words[k] = read<uint16_t>(p + (i + k) * stride, swapped);
        Floats v = brain ? load_bfloat(words) : load_half(words);
        float block[16];
        store(block, v);
        for (int k = 0; k < here; k++) to[i + k] = block[k];
    }
}

template <class T> inline void gather_any(DType type, const char* p, ptrdiff_t stride, Index n, bool swapped, T* to) {
    switch (type) {
        case DType::float16: return gather_small<T, false>(p, stride, n, swapped, to);
        case DType::bfloat16: return gather_small<T, true>(p, stride, n, swapped, to);
        case DType::float32: return gather<T, float>(p, stride, n, swapped, to);
        case DType::float64: return gather<T, double>(p, stride, n, swapped, to);
        case DType::int8: return gather<T, int8_t>(p, stride, n, swapped, to);
        case DType::int16: return gather<T, int16_t>(p, stride, n, swapped, to);
        case DType::int32: return gather<T, int32_t>(p, stride, n, swapped, to);
        case DType::int64: return gather<T, int64_t>(p, stride, n, swapped, to);
        case DType::uint8: return gather<T, uint8_t>(p, stride, n, swapped, to);
        case DType::uint16: return gather<T, uint16_t>(p, stride, n, swapped, to);
        case DType::uint32: return gather<T, uint32_t>(p, stride, n, swapped, to);
        case DType::uint64: return gather<T, uint64_t>(p, stride, n, swapped, to);
    }
}

template <class T, class S> inline void scatter(const T* from, char* p, ptrdiff_t stride, Index n, bool swapped) {
    if (stride == static_cast<ptrdiff_t>(sizeof(S)) && !swapped) {
        for (Index i = 0; i < n; i++) write<S>(p + i * sizeof(S), static_cast<S>(from[i]), false);
    } else {
        for (Index i = 0; i < n; i++) write<S>(p + i * stride, static_cast<S>(from[i]), swapped);
    }
}

template <bool brain> inline void scatter_small(const float* from, char* p, ptrdiff_t stride, Index n, bool swapped) {
    for (Index i = stride == 2 && !swapped ? scatter_blocks<brain>(from, n, p) : 0; i < n; i += 16) {
        int here = n - i < 16 ? static_cast<int>(n - i) : 16;
        Floats v = here == 16 ? load(from + i) : load_partial(from + i, here, 0.0f);
        uint16_t words[16];
        brain ? store_bfloat(words, v) : store_half(words, v);
        for (int k = 0; k < here; k++) write<uint16_t>(p + (i + k) * stride, words[k], swapped);
    }
}
// From double by way of a float rounded to odd, so that rounding twice cannot show.
template <bool brain> inline void scatter_small(const double* from, char* p, ptrdiff_t stride, Index n, bool swapped) {
    for (Index i = 0; i < n; i += 16) {
        int here = n - i < 16 ? static_cast<int>(n - i) : 16;
        float block[16];
        for (int k = 0; k < here; k++) {
            float value = static_cast<float>(from[i + k]);
            uint32_t bits;
            memcpy(&bits, &value, 4);
            double error = from[i + k] - value;
            if (error != 0 && error == error && !(bits & 1) && (bits & 0x7fffffffu) < 0x7f800000u) {
                bits += (error > 0) == !(bits >> 31) ? 1 : -1;
                memcpy(&value, &bits, 4);
            }
            block[k] = value;
        }
        scatter_small<brain>(block, p + i * stride, stride, here, swapped);
    }
}

template <class T>
inline void scatter_any(DType type, const T* from, char* p, ptrdiff_t stride, Index n, bool swapped) {
    switch (type) {
        case DType::float16: return scatter_small<false>(from, p, stride, n, swapped);
        case DType::bfloat16: return scatter_small<true>(from, p, stride, n, swapped);
        case DType::float32: return scatter<T, float>(from, p, stride, n, swapped);
        default: return scatter<T, double>(from, p, stride, n, swapped);
    }
}

}  // namespace
