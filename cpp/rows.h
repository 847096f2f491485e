// The loops over one row: the largest, the sum of exponentials, and elementwise results.
#pragma once

#include "elements.h"
#include "totals.h"

namespace {

// A number as a type.
template <int number> struct Count {
    static constexpr int value = number;
};

// fn(vector, index) over a row, the tail filled up with `fill`.
template <class T, class S, class Fn>
inline __attribute__((always_inline)) void each(const S* x, Index n, T fill, Fn fn) {
    constexpr int width = Lanes<T>::width;
    Index i = 0;
    for (; i + width <= n; i += width) fn(load(x + i), i);
    if (i < n) fn(load_partial(x + i, static_cast<int>(n - i), fill), i);
}

// A constant of the compiler as an argument.
template <bool fixed> struct Constant {
    static constexpr bool value = fixed;
};

template <class T, class S> inline T smallest(const S* x, Index n) {
    auto low = broadcast(infinity<T>);
    each<T>(x, n, infinity<T>, [&](auto v, Index) { low = minimum(low, v); });
    return -largest_lane(broadcast(static_cast<T>(0)) - low);
}
// The smallest of a row, from a vector that holds lower_of() of all of it.
template <class T, class S, class Vector> inline T smallest_of(const S* x, Index n, Vector all) {
    const T least = -largest_lane(broadcast(static_cast<T>(0)) - all);
    return least < 0 || !lower_of_negative ? least : smallest<T>(x, n);
}

// The largest and the smallest. A NaN may be passed over here: the sum meets it again.
template <class T> struct Extremes {
    T most, least;
};
template <class T, int vectors> struct ExtremesOfLanes {
    using Vector = typename Lanes<T>::Vector;
    Vector high[vectors], low[vectors];

    explicit ExtremesOfLanes(Vector any) {
        for (int k = 0; k < vectors; k++) high[k] = low[k] = any;
    }
    inline __attribute__((always_inline)) void take(Vector v, int k) {
        hold(v);
        high[k] = maximum(high[k], v);
        low[k] = lower_of(low[k], v);
    }
    template <class S> Extremes<T> of(const S* x, Index n) const {
        Vector most = high[0], least = low[0];
        for (int k = 1; k < vectors; k++) {
            most = maximum(most, high[k]);
            least = lower_of(least, low[k]);
        }
        return {largest_lane(most), smallest_of<T>(x, n, least)};
    }
};
template <class T, class S> inline Extremes<T> extremes(const S* x, Index n) {
    constexpr int width = Lanes<T>::width;
    ExtremesOfLanes<T, 4> lanes(n < width ? load_partial(x, static_cast<int>(n), first_of(x)) : load(x));
    if (n > width) {
        // Vectors that begin at their own borders are read faster; the last overlaps the one before it.
        constexpr uintptr_t bytes = width * sizeof(S);
        Index i = static_cast<Index>((-reinterpret_cast<uintptr_t>(x) & (bytes - 1)) / sizeof(S));
        for (; i + 4 * width <= n; i += 4 * width)
            for (int k = 0; k < 4; k++) lanes.take(load(x + i + k * width), k);
        for (; i + width <= n; i += width) lanes.take(load(x + i), 0);
        lanes.take(load(x + n - width), 1);
    }
    return lanes.of(x, n);
}

// The largest, the largest of the others (equal to it where it is not alone), and the smallest. No element outside
// [from, to) equals the largest.
template <class T> struct Largest {
    T first, second, least;
    Index from, to;
};
// They are found in two passes, the second of a quarter of the row. Both end in long chains of operations, which
// overlap if several rows go through the first pass and then through the second.
template <class T, class S> class LargestSearch {
    using Vector = typename Lanes<T>::Vector;
    static constexpr int width = Lanes<T>::width, many = -1;
    const S* x_;
    Index n_, head_, rest_;  // vectors that begin at their own borders, four at a time, lie between them
    Vector others_;
    T first_, least_;
    int from_;  // which of each four vectors has the largest in it, if one lane has; or many

    Vector some(Index i, Index count, T filled) const { return load_partial(x_ + i, static_cast<int>(count), filled); }
    // fn(vector, index) for what lies before and behind the fours.
    template <class Fn> inline __attribute__((always_inline)) void each_beside(T filled, Fn fn) const {
        if (head_) fn(some(0, head_, filled), 0);
        Index i = rest_;
        for (; i + width <= n_; i += width) fn(load(x_ + i), i);
        if (i < n_) fn(some(i, n_ - i, filled), i);
    }

  public:
    void first_pass(const S* x, Index n) {
        constexpr uintptr_t bytes = width * sizeof(S);
        const Index border = static_cast<Index>((-reinterpret_cast<uintptr_t>(x) & (bytes - 1)) / sizeof(S));
        x_ = x;
        n_ = n;
        head_ = border < n ? border : n;
        rest_ = head_ + (n - head_) / (4 * width) * (4 * width);
        const Vector lowest = broadcast(-infinity<T>);
        Vector high[4], low[4];
        for (int k = 0; k < 4; k++) {
            high[k] = lowest;
            low[k] = broadcast(infinity<T>);
        }
        each_beside(-infinity<T>, [&](Vector v, Index) { high[0] = maximum(high[0], v); });
        each_beside(infinity<T>, [&](Vector v, Index) { low[0] = lower_of(low[0], v); });
        for (Index i = head_; i < rest_; i += 4 * width)
            for (int k = 0; k < 4; k++) {
                Vector v = load(x + i + k * width);
                hold(v);
                high[k] = maximum(high[k], v);
                low[k] = lower_of(low[k], v);
            }
        first_ = largest_lane(maximum(maximum(high[0], high[2]), maximum(high[1], high[3])));
        least_ = smallest_of<T>(x, n, lower_of(lower_of(low[0], low[1]), lower_of(low[2], low[3])));
        const Vector top = broadcast(first_);
        int places = 0;
        others_ = lowest;
        for (int k = 0; k < 4; k++) {
            const auto is_first = equal(high[k], top);
            const int here = count(is_first);
            if (here) from_ = k;
            places += here;
            others_ = maximum(others_, select(is_first, lowest, high[k]));
        }
        if (places != 1) from_ = many;
    }
    Largest<T> second_pass() const {
        if (from_ == many) return {first_, first_, least_, 0, n_};
        const Vector lowest = broadcast(-infinity<T>), top = broadcast(first_);
        Vector others = others_;
        int places = 0;
        Index place = 0;
        const auto look = [&](Vector v, Index i) __attribute__((always_inline)) {
            hold(v);
            const auto is_first = equal(v, top);
            const int here = count(is_first);
            places += here;
            place = here ? i : place;
            others = maximum(others, select(is_first, lowest, v));
        };
        if (from_ == 0) each_beside(-infinity<T>, look);
        for (Index i = head_ + from_ * width; i < rest_; i += 4 * width) look(load(x_ + i), i);
        if (places != 1) return {first_, first_, least_, 0, n_};
        return {first_, largest_lane(others), least_, place, place + width};
    }
};
template <class T, class S> inline Largest<T> two_largest(const S* x, Index n) {
    LargestSearch<T, S> search;
    search.first_pass(x, n);
    return search.second_pass();
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

// What a sum leaves out: the elements equal to a value, none of which lies outside [from, to).
template <class T> struct LeftOut {
    T value;
    Index from, to;
};

// Sum of exponentials, in units of 1 / bias. With `others`, elements are left out.
// keep(value, excess, index, count) may store the parts of `count` elements. The elements `ahead` of these (0: the next
// part or row) are prefetched, and half as many bytes from `later` on.
template <class T, bool others, Range range, class S, class Keep = Nothing, class Later = Nowhere>
inline __attribute__((always_inline)) typename WideOf<T>::type sum_exponentials(const S* x, Index n,
                                                                                const Exponential<T>& relative,
                                                                                LeftOut<T> without, Keep keep = Keep(),
                                                                                Later later = Later(),
                                                                                Index ahead = 0) {
    using Vector = typename Lanes<T>::Vector;
    constexpr int width = Lanes<T>::width;
    constexpr bool all_normal = range != Range::any;
    const Exponential<T> exponential = relative.of_one_row();  // a copy of our own stays in registers
    typename WideOf<T>::type wide;
    Accumulator<T> sum[4];
    int tail = width;
    const S* next = x + (ahead ? ahead : n);
    const Vector nothing = broadcast(-infinity<T>), zero = broadcast(static_cast<T>(0));
    auto step = [&](auto& v, Index i, auto* into, auto may_leave_out) __attribute__((always_inline)) {
        constexpr int count = sizeof(v) / sizeof(v[0]);
        constexpr bool leaves_out = decltype(may_leave_out)::value;
        Vector value[count], excess[count];
        typename Lanes<T>::Mask out[count];
        if (leaves_out)
            for (int k = 0; k < count; k++) out[k] = equal(v[k], broadcast(without.value));
        if (leaves_out && !all_normal)
            for (int k = 0; k < count; k++) v[k] = select(out[k], nothing, v[k]);
        exponential.template parts<all_normal>(v, value, excess);
        if (leaves_out && all_normal)
            for (int k = 0; k < count; k++) value[k] = select(out[k], zero, value[k]);
        if (all_normal && count == 1 && tail < width) value[0] = value[0] * first_lanes<T>(tail);
        for (int k = 0; k < count; k++) {
            into[k].template add<range>(value[k], excess[k]);
            keep(value[k], excess[k], i + k * width, count == 1 ? tail : width);
        }
    };
    // Four vectors, so many of them together.
    const auto four = [&](Index i, auto* into, auto together, auto may_leave_out) __attribute__((always_inline)) {
        constexpr int count = decltype(together)::value;
        for (int k = 0; k < 4; k += count) {
            Vector v[count];
            for (int j = 0; j < count; j++) v[j] = load(x + i + (k + j) * width);
            step(v, i + k * width, into + k, may_leave_out);
        }
    };
    const auto prefetch_four = [&](Index i) __attribute__((always_inline)) {
        for (int k = 0; k < 4; k++) prefetch(next + i + k * width);
        if (later) fetch_ahead<S, width>(later, i * sizeof(S));
    };
    // Whether the four vectors from i on are the last of those after which the sums are settled.
    const auto ends_settled = [](Index i) {
        constexpr Index all = 4 * until_settled * width, last = all - 4 * width;
        return (i & (all - 1)) == last;
    };
    constexpr Constant<false> no;
    constexpr Constant<others> maybe;
    Index i = 0;
    for (;;) {
        const Index until = i + 32 * width < n ? i + 32 * width : n;
        for (;;) {
            // A loop of its own, without what is left out, keeps its sums in registers.
            Index stop = until;
            if (others && i < without.to && without.from < until)
                stop = without.from < i ? i : i + (without.from - i) / (4 * width) * (4 * width);
            if constexpr (sums_in_turn) {
                const Index end = i + (stop - i) / (4 * width) * (4 * width);
                for (int k = 0; k < 4; k++) {
                    Accumulator<T> own = sum[k];
                    for (Index at = i + k * width; at < end; at += 4 * width) {
                        prefetch(next + at);
                        if (later && k == 0) fetch_ahead<S, width>(later, at * sizeof(S));
                        Vector v[1] = {load(x + at)};
                        step(v, at, &own, no);
                        if (ends_settled(at - k * width)) own.settle();
                    }
                    sum[k] = own;
                }
                i = end;
            } else {
                Accumulator<T> own[4] = {sum[0], sum[1], sum[2], sum[3]};
                for (; i + 4 * width <= stop; i += 4 * width) {
                    prefetch_four(i);
                    four(i, own, Count<interleaved>(), no);
                    if (ends_settled(i))
                        for (auto& one : own) one.settle();
                }
                for (int k = 0; k < 4; k++) sum[k] = own[k];
            }
            if (!others || i + 4 * width > until) break;
            prefetch_four(i);
            four(i, sum, Count<1>(), maybe);
            if (ends_settled(i))
                for (auto& one : sum) one.settle();
            i += 4 * width;
        }
        if (i + 4 * width > n) break;
        flush(sum, wide);
    }
    for (auto& one : sum) one.settle();
    for (; i + width <= n; i += width) {
        Vector v[1] = {load(x + i)};
        step(v, i, sum, maybe);
    }
    if (i < n) {
        tail = static_cast<int>(n - i);
        Vector v[1] = {load_partial(x + i, tail, all_normal ? first_of(x + i) : -infinity<T>)};
        step(v, i, sum, maybe);
    }
    sum[0].settle();
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
