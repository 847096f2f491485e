// Elements where they lie in memory: sixteen-bit floats are widened to float lanes as they are read, and rounded as
// they are written.
#pragma once

#include "lanes.h"

namespace {

struct Half {
    uint16_t bits;
    static Floats widened(const uint16_t* words) { return load_half(words); }
    static void rounded(uint16_t* words, Floats v) { store_half(words, v); }
};
struct Bfloat {
    uint16_t bits;
    static Floats widened(const uint16_t* words) { return load_bfloat(words); }
    static void rounded(uint16_t* words, Floats v) { store_bfloat(words, v); }
};
template <class S> inline Floats load_words_of(const S* p) { return S::widened(reinterpret_cast<const uint16_t*>(p)); }
template <class S> inline Floats load_some_words(const S* p, int n, float fill) {
    uint16_t words[16] = {};
    copy_words(words, reinterpret_cast<const uint16_t*>(p), n);
    float lanes[16];
    store(lanes, S::widened(words));
    return load_partial(lanes, n, fill);
}
template <class S> inline void store_some_words(S* p, Floats v, int n) {
    uint16_t words[16];
    S::rounded(words, v);
    copy_words(reinterpret_cast<uint16_t*>(p), words, n);
}
template <class S> inline void stream_words_of(S* p, Floats v) {
    alignas(32) uint16_t words[16];
    S::rounded(words, v);
    stream_words(reinterpret_cast<uint16_t*>(p), words);
}
inline Floats load(const Half* p) { return load_words_of(p); }
inline Floats load(const Bfloat* p) { return load_words_of(p); }
inline Floats load_partial(const Half* p, int n, float fill) { return load_some_words(p, n, fill); }
inline Floats load_partial(const Bfloat* p, int n, float fill) { return load_some_words(p, n, fill); }
inline void store(Half* p, Floats v) { Half::rounded(reinterpret_cast<uint16_t*>(p), v); }
inline void store(Bfloat* p, Floats v) { Bfloat::rounded(reinterpret_cast<uint16_t*>(p), v); }
inline void store_partial(Half* p, Floats v, int n) { store_some_words(p, v, n); }
inline void store_partial(Bfloat* p, Floats v, int n) { store_some_words(p, v, n); }
inline void stream(Half* p, Floats v) { stream_words_of(p, v); }
inline void stream(Bfloat* p, Floats v) { stream_words_of(p, v); }

template <class T> inline T first_of(const T* x) {
    T first;
    memcpy(&first, x, sizeof(T));
    return first;
}
template <class S> inline float first_word_of(const S* x) {
    float lanes[16];
    store(lanes, load_partial(x, 1, 0.0f));
    return lanes[0];
}
inline float first_of(const Half* x) { return first_word_of(x); }
inline float first_of(const Bfloat* x) { return first_word_of(x); }

}  // namespace
