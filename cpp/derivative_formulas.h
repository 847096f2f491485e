// What the derivatives are, element by element, once the sums of a row are known.
#pragma once

#include "derivative_state.h"

namespace {

inline void in_parts(Total sum, float& high, float& low) {
    high = static_cast<float>(sum.high);
    low = static_cast<float>((sum.high - high) + sum.low);
}
inline void in_parts(Total sum, double& high, double& low) {
    high = sum.high;
    low = sum.low;
}

// exp(y) - 1 for y in [-1, 0]: its series.
inline Doubles exponential_less_one(Doubles y) {
    const Doubles one = broadcast(1.0);
    Doubles sum = one;
    for (int k = 18; k >= 2; k--) sum = fma(y * broadcast(1.0 / k), sum, one);
    return y * sum;
}
inline Doubles exponential_of(Doubles y) {
    y = maximum(broadcast(-1100.0), y);
    const Doubles scale = broadcast(0x1.71547652b82fep+0);
    Doubles product = y * scale;
    return exp2(product, fma(y, broadcast(0x1.777d0ffda0d24p-56), fms(y, scale, product)));
}

// What each function does to its elements once the sums are known. The sums are one number a row, or (rows in the
// lanes) one a lane; `total` holds them in double, for elements that the two parts don't serve.
template <class T> struct RowSum {
    using Vector = typename Lanes<T>::Vector;
    Vector high, low;
    Doubles total[Halves<T>::count], total_low[Halves<T>::count];
};

template <class T> struct Derivative {
    using Vector = typename Lanes<T>::Vector;
    static constexpr int halves = Halves<T>::count;

    // (t - high) is exact where it cancels; low is then what counts.
    static inline __attribute__((always_inline)) Vector softmax_jvp(const RowSum<T>& s, Vector x, Vector t) {
        return fms(x, t - s.high, x * s.low);
    }
    static inline __attribute__((always_inline)) Vector log_softmax_jvp(const RowSum<T>& s, Vector, Vector t) {
        return (t - s.high) - s.low;
    }
    static inline __attribute__((always_inline)) Vector log_softmax_vjp(const RowSum<T>& s, Vector x, Vector t) {
        const Vector none = broadcast(static_cast<T>(0));
        return fma(none - x, s.low, fma(none - x, s.high, t));
    }
    // In double, for numbers of any size.
    static __attribute__((noinline)) Vector in_double(Function function, const RowSum<T>& s, Vector x, Vector t) {
        Doubles a[halves], b[halves];
        Halves<T>::split(x, a);
        Halves<T>::split(t, b);
        for (int h = 0; h < halves; h++) {
            Doubles difference = (b[h] - s.total[h]) - s.total_low[h], p = a[h];
            if (function == Function::log_softmax_vjp_of_logarithms) p = exponential_of(p);
            if (traits_of(function).is_vjp) a[h] = b[h] - p * s.total[h];
            else a[h] = function == Function::softmax_jvp ? p * difference : difference;
        }
        return Halves<T>::join(a);
    }
};

// t - exp(x) G with the exponential in two parts. Where it is not plain, everything is 2^31 times as large, so that
// only results can be subnormal. The error of the exponential is less than what rounding did to x (confident classes
// apart): where the difference cancels, the result is as good as x determines it.
template <class T> struct LogarithmVjp {
    using Vector = typename Lanes<T>::Vector;
    static constexpr double lift = 0x1p31;
    Exponential<T> exponential;
    LogarithmVjp() : exponential(Scale<T>(1)) { exponential.relative_to(Scale<T>(1), no_reference<T>); }

    // Of the sum, what the exponential's parts are multiplied by.
    static RowSum<T> factors(RowSum<T> s, bool all_normal) {
        multiply(s, (all_normal ? -1 : -lift) / Lanes<T>::bias);
        return s;
    }
    static void multiply(RowSum<double>& s, double power_of_two) {
        s.high = s.high * broadcast(power_of_two);
        s.low = s.low * broadcast(power_of_two);
    }
    // (The exponentials are 2^surplus times as large.)
    static void multiply(RowSum<float>& s, double unit) {
        const Doubles factor = broadcast(unit * 0x1.efa1bee615a27p-1);
        const Doubles first = s.total[0] * factor, second = s.total[1] * factor;
        Doubles a, b;
        s.high = narrow(first, second);
        widen(s.high, a, b);
        s.low = narrow(first - a, second - b);
    }
    template <bool all_normal, int count>
    inline __attribute__((always_inline)) void apply(Vector high, Vector low, Vector (&x)[count],
                                                     const Vector (&t)[count]) const {
        const Vector up = broadcast(static_cast<T>(lift)), down = broadcast(static_cast<T>(1 / lift));
        Vector value[count], excess[count];
        exponential.template parts<all_normal>(x, value, excess);
        for (int k = 0; k < count; k++) x[k] = fma(value[k], high, all_normal ? t[k] : t[k] * up);
        for (int k = 0; k < count; k++) x[k] = fma(value[k], fma(excess[k], high, low), x[k]);
        if (!all_normal)
            for (int k = 0; k < count; k++) x[k] = x[k] * down;
    }
};

// True if a sum of tangents, times exponentials in two parts, can't overflow or underflow.
inline bool fits_exponentials(double sum) {
    sum = magnitude(sum);
    return sum == 0 || (sum > 0x1p-30 && sum < 0x1p30);
}

template <class T> struct DerivativeRow {
    using Vector = typename Lanes<T>::Vector;
    Function function;
    RowSum<T> sums;
    bool is_in_range, is_all_normal, has_top;
    T at_top;

    DerivativeRow(Function f, const DerivativeState& state)
        : function(f), is_all_normal(state.all_normal), has_top(false), at_top(0) {
        Total sum = total_of(state);
        if (!traits_of(f).is_vjp) sum = two_sum(state.tangent, sum.high) + Total{sum.low, 0};
        is_in_range = state.in_range && !(magnitude(sum.high) >= largest_in_range<T>);
        if (f == Function::log_softmax_vjp_of_logarithms)
            is_in_range = state.in_range && fits_exponentials(sum.high) && !(state.top > 0);
        T high, low;
        in_parts(sum, high, low);
        sums.high = broadcast(high);
        sums.low = broadcast(low);
        for (int h = 0; h < Halves<T>::count; h++) {
            sums.total[h] = broadcast(sum.high);
            sums.total_low[h] = broadcast(sum.low);
        }
        if (traits_of(f).is_vjp && state.top > least_confident(f)) set_top(state);
    }
    void set_top(const DerivativeState& state) {
        has_top = true;
        if (function == Function::log_softmax_vjp) {
            double product = state.top * state.others, lost = fused(state.top, state.others, -product);
            at_top = static_cast<T>(fused(state.weight, state.tangent, -product) - lost);
        } else if (state.top > 0) {
            has_top = false;  // no logarithm of a probability
        } else {
            double lanes[8];
            store(lanes, exponential_less_one(broadcast(state.top)));
            at_top = static_cast<T>(-lanes[0] * state.tangent - (lanes[0] + 1) * state.others);
        }
    }

    template <class S, class Fn>
    static inline __attribute__((always_inline)) void each(const S* x, const S* t, S* out, Index n, bool stream,
                                                           Index next, Fn fn) {
        map<T>(x, out, n, stream, nullptr, next, [=](auto& v, Index i) __attribute__((always_inline)) {
            constexpr int count = sizeof(v) / sizeof(v[0]), width = Lanes<T>::width;
            Vector w[count];
            for (int k = 0; k < count; k++) w[k] = load_up_to(t + i + k * width, n - i - k * width, static_cast<T>(0));
            fn(v, w);
        });
    }
    template <class S>
    void write(const LogarithmVjp<T>& logarithm_vjp, const S* x, const S* t, S* out, Index n, bool stream,
               Index next) const {
        const RowSum<T> s = sums;
        const Function f = function;
        if (!is_in_range) {
            each(x, t, out, n, stream, next, [=](auto& v, auto& w) {
                for (auto& one : v) one = Derivative<T>::in_double(f, s, one, w[&one - v]);
            });
        } else if (f == Function::softmax_jvp) {
            each(x, t, out, n, stream, next, [=](auto& v, auto& w) __attribute__((always_inline)) {
                for (auto& one : v) one = Derivative<T>::softmax_jvp(s, one, w[&one - v]);
            });
        } else if (f == Function::log_softmax_jvp) {
            each(x, t, out, n, stream, next, [=](auto& v, auto& w) __attribute__((always_inline)) {
                for (auto& one : v) one = Derivative<T>::log_softmax_jvp(s, one, w[&one - v]);
            });
        } else if (f == Function::log_softmax_vjp) {
            each(x, t, out, n, stream, next, [=](auto& v, auto& w) __attribute__((always_inline)) {
                for (auto& one : v) one = Derivative<T>::log_softmax_vjp(s, one, w[&one - v]);
            });
        } else {
            const RowSum<T> factors = LogarithmVjp<T>::factors(s, is_all_normal);
            is_all_normal ? subtract<true>(logarithm_vjp, factors, x, t, out, n, stream, next)
                          : subtract<false>(logarithm_vjp, factors, x, t, out, n, stream, next);
        }
    }
    template <bool all_normal, class S>
    static void subtract(const LogarithmVjp<T>& logarithm_vjp, const RowSum<T>& factors, const S* x, const S* t, S* out,
                         Index n, bool stream, Index next) {
        const LogarithmVjp<T> local = logarithm_vjp;
        const Vector high = factors.high, low = factors.low;
        auto fn = [=](auto& v, auto& w)
                      __attribute__((always_inline)) { local.template apply<all_normal>(high, low, v, w); };
        stream ? each(x, t, out, n, true, next, fn) : map_pair<T>(x, t, out, n, next, fn);
    }
};

}  // namespace
