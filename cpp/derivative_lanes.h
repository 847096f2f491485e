// Derivatives of rows of up to 256 classes, sixteen of them in the lanes of one vector, class by class.
#pragma once

#include "derivative_formulas.h"
#include "short_rows.h"

namespace {

constexpr Index short_derivative = traits_of(Function::softmax_jvp).short_row;  // the same for all of them

// The largest of each lane, where it is, the tangent there, and the largest |t|.
struct LaneTops {
    Floats top, place, offset, size;
    LaneTops(const float* x, const float* t, Index classes)
        : top(load(x)), place(broadcast(0.0f)), offset(load(t)), size(absolute(offset)) {
        for (Index k = 1; k < classes; k++) {
            Floats v = load(x + k * 16), w = load(t + k * 16);
            FloatsMask better = less(top, v);
            top = select(better, v, top);
            place = select(better, broadcast(static_cast<float>(k)), place);
            offset = select(better, w, offset);
            size = maximum(size, absolute(w));
        }
    }
};

inline Doubles lane_two_sum(Doubles a, Doubles b, Doubles& lost) {
    Doubles s = a + b, part = s - a;
    lost = (a - (s - part)) + (b - part);
    return s;
}
// base + more, in double and in two floats.
inline RowSum<float> lane_sums(Floats base, const WideFloats& more) {
    RowSum<float> s;
    Doubles b[2], h[2];
    widen(base, b[0], b[1]);
    s.total[0] = lane_two_sum(b[0], more.first, s.total_low[0]);
    s.total[1] = lane_two_sum(b[1], more.second, s.total_low[1]);
    s.high = narrow(s.total[0], s.total[1]);
    widen(s.high, h[0], h[1]);
    s.low = narrow((s.total[0] - h[0]) + s.total_low[0], (s.total[1] - h[1]) + s.total_low[1]);
    return s;
}

// Where no class is confident, the first takes the place of the largest.
inline LaneTops lane_tops(Function function, const float* x, const float* t, Index classes) {
    LaneTops tops(x, t, classes);
    const FloatsMask confident = less(broadcast(static_cast<float>(least_confident(function))), tops.top);
    tops.place = select(confident, tops.place, broadcast(0.0f));
    tops.offset = select(confident, tops.offset, load(t));
    return tops;
}

// Sum of t, and of x, over all but the largest.
inline void lane_others(const LaneTops& tops, const float* x, const float* t, Index classes, WideFloats& tangents,
                        WideFloats& weights) {
    const Floats zero = broadcast(0.0f);
    for (Index k = 0; k < classes; k++) {
        FloatsMask is_top = equal(tops.place, broadcast(static_cast<float>(k)));
        add(tangents, select(is_top, zero, load(t + k * 16)));
        add(weights, select(is_top, zero, load(x + k * 16)));
    }
}
inline WideFloats lane_products(const LaneTops& tops, const float* x, const float* t, Index classes) {
    WideFloats sum;
    Doubles c[2], v[2], w[2];
    widen(tops.offset, c[0], c[1]);
    for (Index k = 0; k < classes; k++) {
        widen(load(x + k * 16), v[0], v[1]);
        widen(load(t + k * 16), w[0], w[1]);
        sum.first = fma(v[0], w[0] - c[0], sum.first);
        sum.second = fma(v[1], w[1] - c[1], sum.second);
    }
    return sum;
}

// What stands at the largest: as DerivativeRow::set_top.
inline Floats lane_at_top(Function function, const LaneTops& tops, const WideFloats& tangents,
                          const WideFloats& weights) {
    Doubles x[2], t[2], result[2];
    widen(tops.top, x[0], x[1]);
    widen(tops.offset, t[0], t[1]);
    const Doubles others[2] = {tangents.first, tangents.second}, weight[2] = {weights.first, weights.second};
    const Doubles one = broadcast(1.0), zero = broadcast(0.0);
    for (int h = 0; h < 2; h++) {
        if (function == Function::log_softmax_vjp) {
            result[h] = weight[h] * t[h] - x[h] * others[h];
        } else {
            Doubles less_one = exponential_less_one(maximum(broadcast(-1.0), x[h]));
            result[h] = (zero - less_one) * t[h] - (less_one + one) * others[h];
        }
    }
    return narrow(result[0], result[1]);
}

// 1 in lanes whose numbers are of a size that needs care, as DerivativeRow::is_in_range.
inline Floats lanes_out_of_range(Function function, const LaneTops& tops, const RowSum<float>& s) {
    const Floats no = broadcast(0.0f), yes = broadcast(1.0f),
                 most = broadcast(static_cast<float>(largest_in_range<float>));
    const Floats sum = absolute(s.high), care = select(less(most, maximum(tops.size, sum)), yes, no);
    if (function != Function::log_softmax_vjp_of_logarithms) return care;
    Floats fits = select(less(broadcast(0x1p-30f), sum), select(less(sum, broadcast(0x1p30f)), yes, no), no);
    fits = select(equal(sum, no), yes, fits);
    return select(equal(fits, no), yes, select(less(no, tops.top), yes, care));
}

template <class Fn>
inline __attribute__((always_inline)) void lane_each(float* x, const float* t, Index classes, Fn fn) {
    Index k = 0;
    for (; k + interleaved <= classes; k += interleaved) {
        Floats v[interleaved], w[interleaved];
        for (int i = 0; i < interleaved; i++) {
            v[i] = load(x + (k + i) * 16);
            w[i] = load(t + (k + i) * 16);
        }
        fn(v, w);
        for (int i = 0; i < interleaved; i++) store(x + (k + i) * 16, v[i]);
    }
    for (; k < classes; k++) {
        Floats v[1] = {load(x + k * 16)}, w[1] = {load(t + k * 16)};
        fn(v, w);
        store(x + k * 16, v[0]);
    }
}

inline void lane_jvp(Function function, const RowSum<float>& s, float* x, const float* t, Index classes) {
    if (function == Function::softmax_jvp) {
        lane_each(x, t, classes, [&](auto& v, auto& w) __attribute__((always_inline)) {
            for (auto& one : v) one = Derivative<float>::softmax_jvp(s, one, w[&one - v]);
        });
    } else {
        lane_each(x, t, classes, [&](auto& v, auto& w) __attribute__((always_inline)) {
            for (auto& one : v) one = Derivative<float>::log_softmax_jvp(s, one, w[&one - v]);
        });
    }
}
inline void lane_vjp(Function function, const LogarithmVjp<float>& logarithm_vjp, const RowSum<float>& s, float* x,
                     const float* t, Index classes) {
    if (function == Function::log_softmax_vjp) {
        lane_each(x, t, classes, [&](auto& v, auto& w) __attribute__((always_inline)) {
            for (auto& one : v) one = Derivative<float>::log_softmax_vjp(s, one, w[&one - v]);
        });
    } else {
        const RowSum<float> factors = LogarithmVjp<float>::factors(s, false);
        const LogarithmVjp<float> local = logarithm_vjp;
        lane_each(x, t, classes, [&](auto& v, auto& w) __attribute__((always_inline)) {
            local.apply<false>(factors.high, factors.low, v, w);
        });
    }
}

// Puts a number in the place of each lane's confident class.
inline void lane_put(const LaneTops& tops, Function function, float* x, Index classes, Floats value) {
    const Floats confident = broadcast(static_cast<float>(least_confident(function)));
    for (Index k = 0; k < classes; k++) {
        FloatsMask here =
            less(confident, select(equal(tops.place, broadcast(static_cast<float>(k))), tops.top, confident));
        store(x + k * 16, select(here, value, load(x + k * 16)));
    }
}

// x becomes the result.
inline void lane_derivative(Function function, const LogarithmVjp<float>& logarithm_vjp, float* x, const float* t,
                            Index classes) {
    const LaneTops tops = lane_tops(function, x, t, classes);
    WideFloats tangents, weights;
    if (traits_of(function).is_vjp) lane_others(tops, x, t, classes, tangents, weights);
    const RowSum<float> s =
        lane_sums(tops.offset, traits_of(function).is_vjp ? tangents : lane_products(tops, x, t, classes));
    const Floats care = lanes_out_of_range(function, tops, s), zero = broadcast(0.0f);
    alignas(64) float exact[short_derivative * 16];
    const bool some_out_of_range = count(equal(care, zero)) < 16;
    if (some_out_of_range)
        for (Index k = 0; k < classes; k++)
            store(exact + k * 16, Derivative<float>::in_double(function, s, load(x + k * 16), load(t + k * 16)));
    traits_of(function).is_vjp ? lane_vjp(function, logarithm_vjp, s, x, t, classes)
                               : lane_jvp(function, s, x, t, classes);
    if (some_out_of_range)
        for (Index k = 0; k < classes; k++)
            store(x + k * 16, select(equal(care, zero), load(x + k * 16), load(exact + k * 16)));
    if (traits_of(function).is_vjp)
        lane_put(tops, function, x, classes, lane_at_top(function, tops, tangents, weights));
}

inline void load_masked(const Part<float>& part, float* tile, float masked) {
    load_short(part, tile, group_rows);
    if (!part.task.where.data) return;
    for (int r = 0; r < part.rows; r++) part.each_masked(r, [&](Index k) { tile[k * group_rows + r] = masked; });
}
inline void derivative_lanes(const Part<float>& x, const Part<float>& t, float masked,
                             const LogarithmVjp<float>& logarithm_vjp, Staging& staging) {
    alignas(64) float values[short_derivative * group_rows], tangents[short_derivative * group_rows];
    load_masked(x, values, masked);
    load_masked(t, tangents, 0);
    lane_derivative(x.task.function, logarithm_vjp, values, tangents, x.length);
    store_short(x.task, x, TileColumns{values, group_rows}, 0, staging);
}

}  // namespace
