// What a derivative needs to know of a row: its sums, part by part.
//
// A DerivativeState holds: top, place: the x of the confident class and where it lies (-inf and 0 if none is);
// tangent: t there; total: sum of x (t - tangent), or of t; others: sum of t but for that at `place`; weight: sum of x,
// of log_softmax_vjp but for that of the confident class; in_range: no number is so large that the lane type could
// overflow on the way; all_normal: no exponential is so small that its product could be subnormal.
#pragma once

#include "row_state.h"

namespace {

// At most one of a row lies above.
constexpr double least_confident(Function function) {
    return function == Function::log_softmax_vjp_of_logarithms ? -0.69 : 0.5;
}
template <class T> constexpr double largest_in_range = sizeof(T) == 4 ? 0x1p120 : 0x1p1000;
constexpr double least_normal_logarithm = -60;  // of a logarithm

// The lanes of T as doubles.
template <class T> struct Halves;
template <> struct Halves<float> {
    static constexpr int count = 2;
    static void split(Floats v, Doubles (&halves)[2]) { widen(v, halves[0], halves[1]); }
    static Floats join(const Doubles (&halves)[2]) { return narrow(halves[0], halves[1]); }
};
template <> struct Halves<double> {
    static constexpr int count = 1;
    static void split(Doubles v, Doubles (&halves)[1]) { halves[0] = v; }
    static Doubles join(const Doubles (&halves)[1]) { return halves[0]; }
};

inline void add(WideFloats& sum, Floats x) {
    Doubles a, b;
    widen(x, a, b);
    sum.first = sum.first + a;
    sum.second = sum.second + b;
}
inline void add(WideDoubles& sum, Doubles x) { sum.add(x, broadcast(0.0)); }
// x (t - c)
inline void add_product(WideFloats& sum, Floats x, Floats t, Doubles c) {
    Doubles a, b, d, e;
    widen(x, a, b);
    widen(t, d, e);
    sum.first = fma(a, d - c, sum.first);
    sum.second = fma(b, e - c, sum.second);
}
inline void add_product(WideDoubles& sum, Doubles x, Doubles t, Doubles c) {
    Doubles d = t - c, part = d - t;
    Doubles lost = (t - (d - part)) - (c + part), product = x * d;
    sum.add(product, fma(x, lost, fms(x, d, product)));
}

inline Total joined(const WideFloats (&sums)[2]) {
    WideFloats sum;
    sum.first = sums[0].first + sums[1].first;
    sum.second = sums[0].second + sums[1].second;
    return sum.total();
}
inline Total joined(const WideDoubles (&sums)[2]) { return sums[0].total() + sums[1].total(); }

template <class T, class S> inline typename Lanes<T>::Vector load_up_to(const S* x, Index n, T fill) {
    return n < Lanes<T>::width ? load_partial(x, static_cast<int>(n), fill) : load(x);
}

// fn(x, t, which of two accumulators) over both operands. What lies `next` elements on is fetched meanwhile.
template <class T, class S, class Fn>
inline __attribute__((always_inline)) void each_pair(const S* x, const S* t, Index n, T fill, Index next, Fn fn) {
    constexpr int width = Lanes<T>::width;
    Index i = 0;
    for (; i + 2 * width <= n; i += 2 * width) {
        for (Index k = 0; k < 2 * width; k += 64 / static_cast<Index>(sizeof(S))) {
            prefetch_far(x + next + i + k);
            prefetch_far(t + next + i + k);
        }
        fn(load(x + i), load(t + i), 0);
        fn(load(x + i + width), load(t + i + width), 1);
    }
    for (; i < n; i += width) fn(load_up_to(x + i, n - i, fill), load_up_to(t + i, n - i, static_cast<T>(0)), 0);
}

// fn(x, t) changes arrays of vectors of x, which go to `out`; the last are filled up, and taken together too.
template <class T, class S, class Fn>
inline __attribute__((always_inline)) void map_pair(const S* x, const S* t, S* out, Index n, Index next, Fn fn) {
    using Vector = typename Lanes<T>::Vector;
    constexpr int width = Lanes<T>::width, together = interleaved < 2 ? 1 : 2;  // more do not fit in the registers
    for (Index i = 0; i < n; i += together * width) {
        const bool whole = i + together * width <= n;
        Vector v[together], w[together];
        for (int k = 0; k < together; k++) {
            const Index from = i + k * width;
            const int here = whole ? width : n - from < 0 ? 0 : n - from < width ? static_cast<int>(n - from) : width;
            v[k] = whole ? load(x + from) : load_partial(x + from, here, static_cast<T>(0));
            w[k] = whole ? load(t + from) : load_partial(t + from, here, static_cast<T>(0));
        }
        fn(v, w);
        for (int k = 0; k < together; k++) prefetch_to_write(out + next + i + k * width);
        for (int k = 0; k < together; k++) {
            const Index from = i + k * width;
            if (whole || from + width <= n) store(out + from, v[k]);
            else if (from < n) store_partial(out + from, v[k], static_cast<int>(n - from));
        }
    }
}

template <class T, class S> inline Total sum_of(const S* x, Index n) {
    typename WideOf<T>::type sum;
    each<T>(x, n, static_cast<T>(0), [&](auto v, Index) __attribute__((always_inline)) { add(sum, v); });
    return sum.total();
}
template <class T, class S> inline Total sum_but(const S* x, Index n, Index place) {
    return sum_of<T>(x, place) + sum_of<T>(x + place + 1, n - place - 1);
}

template <class T> inline bool any_above(typename Lanes<T>::Vector a, typename Lanes<T>::Vector b, double limit) {
    return count(less(broadcast(static_cast<T>(limit)), maximum(a, b))) > 0;
}
// The state of a part whose sums are known, but for what the confident class is left out of.
template <class T, class S>
inline DerivativeState led_by(T top, Index place, const S* t, Total total, typename Lanes<T>::Vector size,
                              typename Lanes<T>::Vector other_size) {
    DerivativeState state = {};
    state.top = top;
    state.place = place;
    state.tangent = first_of(t + place);
    state.total = total.high;
    state.total_low = total.low;
    state.in_range = !any_above<T>(size, other_size, largest_in_range<T>);
    state.all_normal = true;
    return state;
}

// The states of a part of a row that is at most one chunk; `whole`: it is all of it.
template <bool whole, class T, class S> inline DerivativeState sum_jvp(const S* x, const S* t, Index n, Index next) {
    using Vector = typename Lanes<T>::Vector;
    using Wide = typename WideOf<T>::type;
    const Vector none = broadcast(static_cast<T>(0));
    Vector most[2] = {none, none}, size[2] = {none, none};
    Wide sum[2], weight[2];
    Doubles c = broadcast(static_cast<double>(first_of(t)));
    each_pair<T>(x, t, n, static_cast<T>(0), next, [&](Vector v, Vector w, int k) __attribute__((always_inline)) {
        most[k] = maximum(most[k], v);
        size[k] = maximum(size[k], absolute(w));
        add_product(sum[k], v, w, c);
        if (!whole) add(weight[k], v);
    });
    T top = -infinity<T>;
    Index place = 0;
    if (any_above<T>(most[0], most[1], least_confident(Function::softmax_jvp))) {
        top = largest_lane(maximum(most[0], most[1]));
        place = first_equal(x, n, top);
        c = broadcast(static_cast<double>(first_of(t + place)));
        Wide others[2];
        each_pair<T>(x, t, n, static_cast<T>(0), next, [&](Vector v, Vector w, int k) __attribute__((always_inline)) {
            add_product(others[k], v, w, c);
        });
        sum[0] = others[0];
        sum[1] = others[1];
    }
    DerivativeState state = led_by<T>(top, place, t, joined(sum), size[0], size[1]);
    if (!whole) state.weight = joined(weight).high;
    return state;
}
template <class T, class S>
inline DerivativeState sum_vjp(Function function, const S* x, const S* t, Index n, Index next) {
    using Vector = typename Lanes<T>::Vector;
    const Vector none = broadcast(static_cast<T>(0));
    const T lowest = -infinity<T>;
    Vector most[2] = {broadcast(lowest), broadcast(lowest)}, least[2] = {none, none}, size[2] = {none, none};
    typename WideOf<T>::type sum[2];
    each_pair<T>(x, t, n, lowest, next, [&](Vector v, Vector w, int k) __attribute__((always_inline)) {
        most[k] = maximum(most[k], v);
        least[k] = minimum(least[k], v);
        size[k] = maximum(size[k], absolute(w));
        add(sum[k], w);
    });
    const bool of_logarithms = function == Function::log_softmax_vjp_of_logarithms;
    const bool confident = any_above<T>(most[0], most[1], least_confident(function));
    const T top = confident ? largest_lane(maximum(most[0], most[1])) : lowest;
    const Index place = confident ? first_equal(x, n, top) : 0;
    DerivativeState state = led_by<T>(top, place, t, joined(sum), size[0], size[1]);
    if (confident) state.others = sum_but<T>(t, n, place).high;
    if (!of_logarithms) state.weight = confident ? sum_but<T>(x, n, place).high : sum_of<T>(x, n).high;
    state.all_normal = !any_above<T>(none - least[0], none - least[1], -least_normal_logarithm) && state.top <= 0;
    return state;
}

inline Total total_of(const DerivativeState& state) { return {state.total, state.total_low}; }

// A part that lies behind the others joins them.
inline void join_derivative(Function function, DerivativeState& into, const DerivativeState& part) {
    const bool first = !(part.top > into.top);
    const DerivativeState big = first ? into : part, small = first ? part : into;
    Total total = total_of(big) + total_of(small);
    if (!traits_of(function).is_vjp) total = total + scaled({small.weight, 0}, two_sum(small.tangent, -big.tangent));
    const bool in_range = into.in_range && part.in_range, all_normal = into.all_normal && part.all_normal;
    into = big;
    into.total = total.high;
    into.total_low = total.low;
    if (total.high != total.high) into.top = not_a_number<double>;
    into.others = big.others + small.total;
    into.weight = big.weight + small.weight;
    if (function == Function::log_softmax_vjp && small.top > 0) into.weight += small.top;
    into.in_range = in_range;
    into.all_normal = all_normal;
}

}  // namespace
