// The loops over one row: the largest, the sum of exponentials, and elementwise results.
#pragma once

#include "elements.h"
#include "totals.h"

namespace {

// fn(vector, index) over a row, the tail filled up with `fill`.
template <class T, class S, class Fn>
inline __attribute__((always_inline)) void each(const S* x, Index n, T fill, Fn fn) {
    constexpr int width = Lanes<T>::width;
    Index i = 0;
    for (; i + width <= n; i += width) fn(load(x + i), i);
    if (i < n) fn(load_partial(x + i, static_cast<int>(n - i), fill), i);
}

// The largest and the smallest. A NaN may be passed over here: the sum meets it again.
template <class T> struct Extremes {
    T most, least;
};
template <class T, class S> inline Extremes<T> extremes(const S* x, Index n) {
    using Vector = typename Lanes<T>::Vector;
    constexpr int width = Lanes<T>::width;
    Vector high[4], low[4];
    for (int k = 0; k < 4; k++)
        high[k] = low[k] = n < width ? load_partial(x, static_cast<int>(n), first_of(x)) : load(x);
    const auto take = [&](const S* from, int k) __attribute__((always_inline)) {
        Vector v = load(from);
        high[k] = maximum(high[k], v);
        low[k] = minimum(low[k], v);
    };
    if (n > width) {
        // Vectors that begin at their own borders are read faster; the last overlaps the one before it.
        constexpr uintptr_t bytes = width * sizeof(S);
        Index i = static_cast<Index>((-reinterpret_cast<uintptr_t>(x) & (bytes - 1)) / sizeof(S));
        for (; i + 4 * width <= n; i += 4 * width)
            for (int k = 0; k < 4; k++) take(x + i + k * width, k);
        for (; i + width <= n; i += width) take(x + i, 0);
        take(x + n - width, 1);
    }
    return {largest_lane(maximum(maximum(high[0], high[1]), maximum(high[2], high[3]))),
            -largest_lane(broadcast(static_cast<T>(0)) - minimum(minimum(low[0], low[1]), minimum(low[2], low[3])))};
}

// The largest, the largest of the others (equal to it where it is not alone), and the smallest.
template <class T> struct Largest {
    T first, second, least;
};
template <class T, class S> inline Largest<T> two_largest(const S* x, Index n) {
    using Vector = typename Lanes<T>::Vector;
    constexpr int width = Lanes<T>::width;
    const Vector lowest = broadcast(-infinity<T>);
    Vector a[4], b[4], low[4];
    for (int k = 0; k < 4; k++) {
        a[k] = b[k] = lowest;
        low[k] = broadcast(infinity<T>);
    }
    const auto take = [&](Vector v, Vector w, int k) __attribute__((always_inline)) {
        b[k] = maximum(b[k], minimum(a[k], v));
        a[k] = maximum(a[k], v);
        low[k] = minimum(low[k], w);
    };
    const auto take_some = [&](Index i, Index count) __attribute__((always_inline)) {
        take(load_partial(x + i, static_cast<int>(count), -infinity<T>),
             load_partial(x + i, static_cast<int>(count), infinity<T>), 0);
    };
    // Vectors that begin at their own borders are read faster.
    constexpr uintptr_t bytes = width * sizeof(S);
    Index i = static_cast<Index>((-reinterpret_cast<uintptr_t>(x) & (bytes - 1)) / sizeof(S));
    if (i > n) i = n;
    if (i) take_some(0, i);
    for (; i + 4 * width <= n; i += 4 * width)
        for (int k = 0; k < 4; k++) take(load(x + i + k * width), load(x + i + k * width), k);
    for (; i + width <= n; i += width) take(load(x + i), load(x + i), 0);
    if (i < n) take_some(i, n - i);
    for (int half = 2; half; half /= 2)
        for (int k = 0; k < half; k++) {
            b[k] = maximum(maximum(b[k], b[k + half]), minimum(a[k], a[k + half]));
            a[k] = maximum(a[k], a[k + half]);
            low[k] = minimum(low[k], low[k + half]);
        }
    const T first = largest_lane(a[0]), least = -largest_lane(broadcast(static_cast<T>(0)) - low[0]);
    const auto is_first = equal(a[0], broadcast(first));
    return {first, count(is_first) > 1 ? first : largest_lane(select(is_first, b[0], a[0])), least};
}

template <class T, class S> inline Index count_equal(const S* x, Index n, T value) {
    Index found = 0;
    auto wanted = broadcast(value);
    each<T>(x, n, not_a_number<T>, [&](auto v, Index) { found += count(equal(v, wanted)); });
    return found;
}

// The first place that holds the value, or n.
template <class T, class S> inline Index find(const S* x, Index n, T wanted) {
    constexpr int width = Lanes<T>::width;
    const auto target = broadcast(wanted);
    Index i = 0;
    while (i + width <= n && !count(equal(load(x + i), target))) i += width;
    while (i < n && first_of(x + i) != wanted) i++;
    return i;
}
// The same of a value that was seen there: a place in the row, even if another thread has changed it since.
template <class T, class S> inline Index first_equal(const S* x, Index n, T wanted) {
    const Index at = find(x, n, wanted);
    return at < n ? at : n - 1;
}

template <class T, class S> inline bool has_nan(const S* x, Index n) {
    Index numbers = 0;
    each<T>(x, n, not_a_number<T>, [&](auto v, Index) { numbers += count(equal(v, v)); });
    return numbers < n;
}

// Where nothing is to be fetched for later. (A type: loops that fetch nothing need no register for it.)
struct Nowhere {
    explicit operator bool() const { return false; }
};

// While four vectors that begin `at` bytes into a part are worked on, half as many bytes of what comes later are
// brought into the second level of the cache. Two passes over a row so fetch the whole of the next one.
template <class S, int width> inline __attribute__((always_inline)) void fetch_ahead(const char* later, Index at) {
    for (Index k = 0; k < 2 * width * static_cast<Index>(sizeof(S)); k += 64) prefetch_far(later + at / 2 + k);
}
template <class S, int width> inline void fetch_ahead(Nowhere, Index) {}

struct Nothing {
    template <class Vector> void operator()(Vector, Vector, Index, int = 0) const {}
};

// 1 in the first n lanes, 0 in the others.
template <class T> inline typename Lanes<T>::Vector first_lanes(int n) {
    static constexpr T steps[32] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    return load(steps + 16 - n);
}

// Sum of exponentials, in units of 1 / bias. With `others`, elements equal to `excluded` are left out.
// keep(value, excess, index, count) may store the parts of so many elements. What lies `ahead` elements on (0: what
// follows, the next part or row) is fetched meanwhile, and half as many bytes from `later` on.
template <class T, bool others, bool all_normal, class S, class Keep = Nothing, class Later = Nowhere>
inline __attribute__((always_inline)) typename WideOf<T>::type sum_exponentials(const S* x, Index n,
                                                                                const Exponential<T>& relative,
                                                                                T excluded, Keep keep = Keep(),
                                                                                Later later = Later(),
                                                                                Index ahead = 0) {
    using Vector = typename Lanes<T>::Vector;
    constexpr int width = Lanes<T>::width;
    const Exponential<T> exponential = relative;  // a copy of our own stays in registers
    typename WideOf<T>::type wide;
    Accumulator<T> sum[4];
    int tail = width;
    const S* next = x + (ahead ? ahead : n);
    const Vector left_out = broadcast(excluded), nothing = broadcast(-infinity<T>), zero = broadcast(static_cast<T>(0));
    auto step = [&](auto& v, Index i, int first) __attribute__((always_inline)) {
        constexpr int count = sizeof(v) / sizeof(v[0]);
        Vector value[count], excess[count];
        typename Lanes<T>::Mask out[count];
        if (others)
            for (int k = 0; k < count; k++) out[k] = equal(v[k], left_out);
        if (others && !all_normal)
            for (int k = 0; k < count; k++) v[k] = select(out[k], nothing, v[k]);
        exponential.template parts<all_normal>(v, value, excess);
        if (others && all_normal)
            for (int k = 0; k < count; k++) value[k] = select(out[k], zero, value[k]);
        if (all_normal && count == 1 && tail < width) value[0] = value[0] * first_lanes<T>(tail);
        for (int k = 0; k < count; k++) {
            sum[first + k].add(value[k], excess[k]);
            keep(value[k], excess[k], i + k * width, count == 1 ? tail : width);
        }
    };
    Index i = 0;
    for (;;) {
        const Index until = i + 32 * width < n ? i + 32 * width : n;
        for (; i + 4 * width <= until; i += 4 * width) {
            for (int k = 0; k < 4; k++) prefetch(next + i + k * width);
            if (later) fetch_ahead<S, width>(later, i * sizeof(S));
            for (int k = 0; k < 4; k += interleaved) {
                Vector v[interleaved];
                for (int j = 0; j < interleaved; j++) v[j] = load(x + i + (k + j) * width);
                step(v, i + k * width, k);
            }
        }
        if (i + 4 * width > n) break;
        flush(sum, wide);
    }
    for (; i + width <= n; i += width) {
        Vector v[1] = {load(x + i)};
        step(v, i, 0);
    }
    if (i < n) {
        tail = static_cast<int>(n - i);
        Vector v[1] = {load_partial(x + i, tail, all_normal ? first_of(x + i) : -infinity<T>)};
        step(v, i, 0);
    }
    flush(sum, wide);
    return wide;
}

// fn(vectors, index) changes an array of vectors in place: out[i] = fn(x[i]) for every element. The output is
// brought to a cache line's border first. Half as many bytes from `later` on are fetched meanwhile, and of an output
// that is not streamed what lies `next` elements on (0: nothing), so that it is there to be written.
template <class T, class S, class D, class Fn>
inline __attribute__((always_inline)) void map(const S* x, D* out, Index n, bool streamed, const char* later,
                                               Index next, Fn fn) {
    using Vector = typename Lanes<T>::Vector;
    constexpr int width = Lanes<T>::width;
    auto some = [&](Index i, int count, bool whole_lines) __attribute__((always_inline)) {
        Vector v[1] = {count == width ? load(x + i) : load_partial(x + i, count, static_cast<T>(0))};
        fn(v, i);
        if (count < width) return store_partial(out + i, v[0], count);
        whole_lines ? stream(out + i, v[0]) : store(out + i, v[0]);
    };
    auto blocks = [&](Index i, bool whole_lines) __attribute__((always_inline)) {
        for (; i + 4 * width <= n; i += 4 * width) {
            if (later) fetch_ahead<S, width>(later, i * sizeof(S));
            for (int k = 0; k < 4; k += interleaved) {
                Vector v[interleaved];
                for (int j = 0; j < interleaved; j++) v[j] = load(x + i + (k + j) * width);
                fn(v, i + k * width);
                if (next && !whole_lines)
                    for (int j = 0; j < interleaved; j++) prefetch_to_write(out + next + i + (k + j) * width);
                for (int j = 0; j < interleaved; j++)
                    whole_lines ? stream(out + i + (k + j) * width, v[j]) : store(out + i + (k + j) * width, v[j]);
            }
        }
        for (; i + width <= n; i += width) some(i, width, whole_lines);
        return i;
    };
    const Index head = static_cast<Index>((-reinterpret_cast<uintptr_t>(out) & 63) / sizeof(D));
    const Index least = streamed ? width : 16 * width;  // below, what the border costs is more than it saves
    const bool has_lines = reinterpret_cast<uintptr_t>(out) % sizeof(D) == 0 && head + least <= n;
    for (Index i = 0; has_lines && i < head; i += width)
        some(i, static_cast<int>(head - i < width ? head - i : width), false);
    const Index i = has_lines && streamed ? blocks(head, true) : blocks(has_lines ? head : 0, false);
    if (i < n) some(i, static_cast<int>(n - i), false);
}

template <class T, class D> inline void fill(D* out, Index n, T value) {
    constexpr int width = Lanes<T>::width;
    for (Index i = 0; i < n; i += width)
        store_partial(out + i, broadcast(value), static_cast<int>(n - i < width ? n - i : width));
}

}  // namespace
