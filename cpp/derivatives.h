// Derivatives of softmax and log_softmax from the values x that these gave, and from tangents t:
//
//   softmax_jvp                     x (t - S)       S = sum of x t, taken as c + sum of x (t - c) with c the t of the
//   log_softmax_jvp                 t - S           confident class, or where there is none of some class
//   log_softmax_vjp                 t - x G         G = sum of t; of the confident class: t (sum of the other x)
//                                                   - x (sum of the other t)
//   log_softmax_vjp_of_logarithms   t - exp(x) G    of the confident class: -expm1(x) t - exp(x) (sum of the other t)
//
// A confident class (its probability is above 1/2) so keeps the digits of what 1 - p has lost, and a constant
// tangent gives exactly 0. Sums are taken in double (of double: in two parts), and reach the results in two parts of
// the lane type.
//
// What a State holds here: maximum, place: the x of the confident class and where it lies (-inf and 0: none);
// offset: t there; total: sum of x (t - c), or of t; others: sum of t but for that at `place`; weight: sum of x, of
// log_softmax_vjp but for that of the confident class; tame: no number is so large that the lane type could overflow
// on the way; plain: no exponential is so small that its product could be subnormal.
#pragma once

#include "softmax.h"

namespace {

// At most one of a row lies above.
constexpr double least_confident(Function function) { return function == Function::log_softmax_vjp_of_logarithms ? -0.69 : 0.5; }
template <class T> constexpr double tame = sizeof(T) == 4 ? 0x1p120 : 0x1p1000;
constexpr double least_plain = -60;  // of a logarithm

inline bool is_vjp(Function function) { return function >= Function::log_softmax_vjp; }

#include "derivatives_sums.h"

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
    // In double, whatever the size of the numbers.
    static __attribute__((noinline)) Vector careful(Function function, const RowSum<T>& s, Vector x, Vector t) {
        Doubles a[halves], b[halves];
        Halves<T>::split(x, a);
        Halves<T>::split(t, b);
        for (int h = 0; h < halves; h++) {
            Doubles difference = (b[h] - s.total[h]) - s.total_low[h], p = a[h];
            if (function == Function::log_softmax_vjp_of_logarithms) p = exponential_of(p);
            if (is_vjp(function)) a[h] = b[h] - p * s.total[h];
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
    LogarithmVjp() : exponential(Scale<T>(1)) { exponential.relative_to(Scale<T>(1), {0, 0}); }

    // Of the sum, what the exponential's parts are multiplied by.
    static RowSum<T> factors(RowSum<T> s, bool plain) {
        const Vector unit = broadcast(static_cast<T>((plain ? -1 : -lift) / Lanes<T>::bias));
        s.high = s.high * unit;
        s.low = s.low * unit;
        return s;
    }
    template <bool plain, int count>
    inline __attribute__((always_inline)) void apply(Vector high, Vector low, Vector (&x)[count], const Vector (&t)[count]) const {
        const Vector up = broadcast(static_cast<T>(lift)), down = broadcast(static_cast<T>(1 / lift));
        Vector value[count], excess[count];
        exponential.template parts<plain>(x, value, excess);
        for (int k = 0; k < count; k++) x[k] = fma(value[k], high, plain ? t[k] : t[k] * up);
        for (int k = 0; k < count; k++) x[k] = fma(value[k], fma(excess[k], high, low), x[k]);
        if (!plain)
            for (int k = 0; k < count; k++) x[k] = x[k] * down;
    }
};

// Whether a sum of tangents, times exponentials in two parts, neither overflows nor vanishes on the way.
inline bool fits_exponentials(double sum) {
    sum = magnitude(sum);
    return sum == 0 || (sum > 0x1p-30 && sum < 0x1p30);
}

template <class T> struct DerivativeRow {
    using Vector = typename Lanes<T>::Vector;
    Function function;
    RowSum<T> sums;
    bool is_tame, is_plain, has_top;
    T at_top;

    DerivativeRow(Function f, const State& state) : function(f), is_plain(state.plain), has_top(false), at_top(0) {
        Total sum = total_of(state);
        if (!is_vjp(f)) sum = two_sum(state.offset, sum.high) + Total{sum.low, 0};
        is_tame = state.tame && !(magnitude(sum.high) >= tame<T>);
        if (f == Function::log_softmax_vjp_of_logarithms)
            is_tame = state.tame && fits_exponentials(sum.high) && !(state.maximum > 0);
        T high, low;
        in_parts(sum, high, low);
        sums.high = broadcast(high);
        sums.low = broadcast(low);
        for (int h = 0; h < Halves<T>::count; h++) {
            sums.total[h] = broadcast(sum.high);
            sums.total_low[h] = broadcast(sum.low);
        }
        if (is_vjp(f) && state.maximum > least_confident(f)) set_top(state);
    }
    void set_top(const State& state) {
        has_top = true;
        if (function == Function::log_softmax_vjp) {
            double product = state.maximum * state.others, lost = fused(state.maximum, state.others, -product);
            at_top = static_cast<T>(fused(state.weight, state.offset, -product) - lost);
        } else if (state.maximum > 0) {
            has_top = false;  // no logarithm of a probability
        } else {
            double lanes[8];
            store(lanes, exponential_less_one(broadcast(state.maximum)));
            at_top = static_cast<T>(-lanes[0] * state.offset - (lanes[0] + 1) * state.others);
        }
    }

    template <class S, class Fn> static inline __attribute__((always_inline)) void each(const S* x, const S* t, S* out, long n, bool stream, long next, Fn fn) {
        map<T>(x, out, n, stream, nullptr, next, [=](auto& v, long i) __attribute__((always_inline)) {
            constexpr int count = sizeof(v) / sizeof(v[0]), width = Lanes<T>::width;
            Vector w[count];
            for (int k = 0; k < count; k++) w[k] = load_up_to(t + i + k * width, n - i - k * width, static_cast<T>(0));
            fn(v, w);
        });
    }
    template <class S> void write(const LogarithmVjp<T>& logarithm_vjp, const S* x, const S* t, S* out, long n, bool stream, long next) const {
        const RowSum<T> s = sums;
        const Function f = function;
        if (!is_tame) {
            each(x, t, out, n, stream, next, [=](auto& v, auto& w) {
                for (auto& one : v) one = Derivative<T>::careful(f, s, one, w[&one - v]);
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
            const RowSum<T> factors = LogarithmVjp<T>::factors(s, is_plain);
            is_plain ? subtract<true>(logarithm_vjp, factors, x, t, out, n, stream, next)
                     : subtract<false>(logarithm_vjp, factors, x, t, out, n, stream, next);
        }
    }
    template <bool plain, class S>
    static void subtract(const LogarithmVjp<T>& logarithm_vjp, const RowSum<T>& factors, const S* x, const S* t, S* out, long n, bool stream, long next) {
        const LogarithmVjp<T> local = logarithm_vjp;
        const Vector high = factors.high, low = factors.low;
        auto fn = [=](auto& v, auto& w) __attribute__((always_inline)) { local.template apply<plain>(high, low, v, w); };
        stream ? each(x, t, out, n, true, next, fn) : map_pair<T>(x, t, out, n, next, fn);
    }
};

#include "derivatives_lanes.h"

template <class T, class S = T> struct DerivativeEngine {
    const Task& task;
    Task second;  // its input is the tangent
    LogarithmVjp<T> logarithm_vjp;
    Staging staging;

    explicit DerivativeEngine(const Task& t) : task(t), second(t) { second.input = t.tangent; }

    struct Operands {
        Part<T, S> first, second;
        const S *x[group_rows], *t[group_rows];
        bool in_columns() const { return first.in_columns() || second.by_columns(second.task.input); }
        void select(long row, int rows, long start, long length) {
            first.first_row = second.first_row = row;
            first.rows = second.rows = rows;
            first.start = second.start = start;
            first.length = second.length = length;
        }
        void fetch(T masked) {
            first.fetch(x);
            second.fetch(t);
            if (!first.task.where.data) return;
            for (int r = 0; r < first.rows; r++)
                first.each_masked(r, [&](long k) {
                    first.row_buffer(r)[k] = masked;
                    second.row_buffer(r)[k] = 0;
                });
        }
    };
    Operands operands(long group, void* scratch) {
        T* buffer = static_cast<T*>(scratch);
        Part<T, S> first = part_of<T, S>(task, group, buffer);
        return {first, part_of<T, S>(second, group, buffer ? buffer + group_rows * buffer_row : buffer), {}, {}};
    }
    T masked() const { return task.function == Function::log_softmax_vjp_of_logarithms ? -infinity<T> : static_cast<T>(0); }

    State sums(const S* x, const S* t, long n, long next) const {
        if (is_vjp(task.function)) return sum_vjp<T>(task.function, x, t, n, next);
        return task.classes <= chunk ? sum_jvp<true, T>(x, t, n, next) : sum_jvp<false, T>(x, t, n, next);
    }
    void write(const Operands& here, int r, const State& state, S* out) const {
        const DerivativeRow<T> row(task.function, state);
        row.write(logarithm_vjp, here.x[r], here.t[r], out, here.first.length, task.stream, here.first.rows * here.first.length);
        const long at = state.place - here.first.start;
        if (row.has_top && at >= 0 && at < here.first.length) store_partial(out + at, broadcast(row.at_top), 1);
    }
    // Few rows at a time, so that they are still near when they are written; all together where they are columns.
    template <class Fn> void each_rows(Operands& here, Fn fn) {
        long row = here.first.first_row, end = row + here.first.rows;
        const long step = here.in_columns() ? here.first.rows : rows_together(2 * task.classes);
        for (; row < end; row += step) {
            here.first.first_row = here.second.first_row = row;
            here.first.rows = here.second.rows = static_cast<int>(end - row < step ? end - row : step);
            fn();
        }
    }
    template <class Fn> void each_chunk(Operands& here, long from, long to, Fn fn) {
        for (long start = from; start < to; start += chunk) {
            here.select(here.first.first_row, here.first.rows, start, to - start < chunk ? to - start : chunk);
            here.fetch(masked());
            fn(start == from);
        }
    }

    void reduce(Operands here, long from, long to, State* states) {
        each_chunk(here, from, to, [&](bool first) {
            for (int r = 0; r < here.first.rows; r++) {
                State state = sums(here.x[r], here.t[r], here.first.length, here.first.rows * here.first.length);
                state.place += here.first.start;
                if (first) states[r] = state;
                else join_derivative(task.function, states[r], state);
            }
        });
    }
    void join(const Operands& here, long segments, State* states) {
        for (long s = 1; s < segments; s++)
            for (int r = 0; r < here.first.rows; r++) join_derivative(task.function, states[r], states[s * group_rows + r]);
    }
    void finish(const Operands&, State*) {}
    void apply(Operands here, long from, long to, const State* states) {
        each_chunk(here, from, to, [&](bool) { apply_fetched(here, states); });
    }
    void apply_fetched(const Operands& here, const State* states) {
        S* out[group_rows];
        here.first.targets(out);
        for (int r = 0; r < here.first.rows; r++) write(here, r, states[r], out[r]);
        here.first.commit(out, static_cast<T>(0));
    }
    void group(Operands here) {
        if (short_lanes(here)) return;
        State states[group_rows], segment[group_rows];
        const long classes = task.classes, length = segment_length(classes), segments = segment_count(classes);
        each_rows(here, [&] {
            reduce(here, 0, length < classes ? length : classes, states);
            for (long s = 1; s < segments; s++) {
                reduce(here, s * length, (s + 1) * length < classes ? (s + 1) * length : classes, segment);
                for (int r = 0; r < here.first.rows; r++) join_derivative(task.function, states[r], segment[r]);
            }
            apply(here, 0, classes, states);
        });
    }
    bool short_lanes(Operands& here) {
        if constexpr (sizeof(S) == sizeof(float)) {
            if (task.classes > short_row(task.function)) return false;
            here.select(here.first.first_row, here.first.rows, 0, task.classes);
            derivative_lanes(here.first, here.second, masked(), logarithm_vjp, staging);
            return true;
        }
        return false;
    }
    bool pair(const Operands&, const Operands&) { return false; }
    long pairs(long first, long) { return first; }
    void flush() { staging.flush(); }
};

}  // namespace
