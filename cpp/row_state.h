// What is known of a row: how a part of it is summed up, how parts are joined, and the arithmetic of one result.
#pragma once

#include "part.h"

namespace {

inline bool is_finite(double x) { return x - x == 0; }
inline double magnitude(double x) { return x < 0 ? -x : x; }
// A number as the type of another.
inline double same(double, double x) { return x; }
inline Doubles same(Doubles, double x) { return broadcast(x); }

// exp2(c (from - to) + power), the exponent in two parts.
template <class T> inline Total ratio(const Scale<T>& scale, double from, double to, double power) {
    Total difference = two_sum(from, -to);
    double product = difference.high * scale.high;
    double rest =
        fused(difference.high, scale.high, -product) + difference.high * scale.low + difference.low * scale.high;
    Total exponent = two_sum(product, power);
    if (!(exponent.high > -1080)) return {0, 0};  // there the low part has lost its meaning
    Total result;
    result.high = exp2(exponent.high, exponent.low + rest, result.low);
    return result;
}
inline Total scaled(Total a, Total factor) {
    double high = a.high * factor.high;
    return {high, fused(a.high, factor.high, -high) + (a.high * factor.low + a.low * factor.high)};
}

constexpr RowState empty_state = {-__builtin_inf(), __builtin_inf(), 0, 0, 0, 0, 0, 0, true};

inline RowState with_total(RowState state, Total total) {
    state.total = total.high;
    state.total_low = total.low;
    if (total.high != total.high) state.maximum = not_a_number<double>;
    return state;
}
inline Total total_of(const RowState& state) { return {state.total, state.total_low}; }

// For a largest element that is no number to subtract: NaN and the infinities. A part of a row that holds nothing but
// -inf joins parts that hold numbers, and the row's results then need special care.
template <class T, class S> inline RowState degenerate(const S* x, Index n, T maximum) {
    RowState state = empty_state;
    state.maximum = has_nan<T>(x, n) ? not_a_number<double> : static_cast<double>(maximum);
    state.minimum = -infinity<double>;
    return state;
}

template <class T> inline Range range_of(const Scale<T>& scale, const RowState& state) {
    return state.offset == 0 ? range_of<T>((state.maximum - state.minimum) * scale.high) : Range::any;
}
// No element is so far from the maximum that its result needs special care.
template <class T> inline bool is_all_normal(const Scale<T>& scale, const RowState& state) {
    return range_of(scale, state) != Range::any;
}

// fn(Constant<true>()) or fn(Constant<false>()).
template <class Fn> inline __attribute__((always_inline)) void with_constant(bool value, Fn fn) {
    value ? fn(Constant<true>()) : fn(Constant<false>());
}
// fn(RangeOf<range>()).
template <Range range> struct RangeOf {
    static constexpr Range value = range;
};
template <class T, class Fn> inline __attribute__((always_inline)) auto with_range(Range range, Fn fn) {
    if constexpr (close_range<T> > 0)
        if (range == Range::close) return fn(RangeOf<Range::close>());
    return range == Range::any ? fn(RangeOf<Range::any>()) : fn(RangeOf<Range::normal>());
}

// What is known of a part of a row before it is summed up; the exponentials are relative to its largest from here on.
template <class T, class S>
inline RowState begin_sum(const S* x, Index n, const Extremes<T>& extreme, const Scale<T>& scale,
                          Exponential<T>& exponential) {
    const auto [maximum, minimum] = extreme;
    if (!is_finite(maximum)) return degenerate(x, n, maximum);
    Reference to = reference(scale, maximum);
    exponential.relative_to(scale, to);
    RowState state = empty_state;
    state.maximum = maximum;
    state.minimum = minimum;
    state.offset = to.offset;
    state.power = to.power;
    return state;
}
// The total is left in `wide`: joining its lanes is one long chain of operations.
template <class T, class S, class Keep = Nothing, class Later = Nowhere>
inline typename WideOf<T>::type sum_up(const S* x, Index n, const RowState& begun, const Scale<T>& scale,
                                       const Exponential<T>& exponential, Keep keep = Keep(), Later later = Later(),
                                       Index ahead = 0) {
    return with_range<T>(range_of(scale, begun), [&](auto range) __attribute__((always_inline)) {
        return sum_exponentials<T, false, decltype(range)::value>(x, n, exponential, {}, keep, later, ahead);
    });
}

// The state of a part of a row, for softmax.
template <class T, class S, class Later = Nowhere>
inline RowState sum_with_maximum(const S* x, Index n, const Scale<T>& scale, Exponential<T>& exponential,
                                 Later later = Later()) {
    const RowState begun = begin_sum(x, n, extremes<T>(x, n), scale, exponential);
    if (!is_finite(begun.maximum)) return begun;
    return with_total(begun, sum_up(x, n, begun, scale, exponential, Nothing(), later).total());
}

// The maximum left out and made the unit: what a logarithm near zero needs. The reference of the sum is the
// second largest, so that no digit of a confident row is lost.
template <class T, class S, class Keep = Nothing, class Later = Nowhere>
inline RowState sum_of_others(const S* x, Index n, const Largest<T>& largest, const Scale<T>& scale,
                              Exponential<T>& exponential, Later later = Later(), Index ahead = 0, Keep keep = Keep()) {
    const auto [first, second, least, from, to] = largest;
    RowState state = empty_state;
    state.maximum = first;
    state.minimum = least;
    if (!is_finite(first) || second == -infinity<T>) {
        return is_finite(first) && !has_nan<T>(x, n) ? state : degenerate(x, n, first);
    }
    Reference relative = reference(scale, second);
    exponential.relative_to(scale, relative);
    const Total to_first =
        ratio(scale, relative.offset, first, relative.power + 300);  // asked for early: the sum hides how long it takes
    // The exponential of an element that is left out may be any number but NaN.
    const bool is_moderate = relative.offset == 0 && reference(scale, first).offset == 0;
    const Range range = is_moderate ? range_of<T>((second - least) * scale.high) : Range::any;
    state.all_normal = range != Range::any;
    const LeftOut<T> without = {first, from, to};
    const auto wide = with_range<T>(range, [&](auto range) __attribute__((always_inline)) {
        return sum_exponentials<T, true, decltype(range)::value>(x, n, exponential, without, keep, later, ahead);
    });
    // Scaled last, so that a subnormal result is rounded once.
    Total total = scaled(wide.total(), to_first) * (0x1p-300 / Lanes<T>::bias);
    if (second == first) total = total + Total{static_cast<double>(count_equal<T>(x, n, first) - 1), 0};
    return with_total(state, total);
}
template <class T, class S, class Later = Nowhere>
inline RowState sum_of_others(const S* x, Index n, const Scale<T>& scale, Exponential<T>& exponential,
                              Later later = Later()) {
    return sum_of_others(x, n, two_largest<T>(x, n), scale, exponential, later);
}

template <class T> inline void merge(const Scale<T>& scale, Function function, RowState& into, const RowState& part) {
    double minimum = into.minimum < part.minimum ? into.minimum : part.minimum;
    bool first = into.maximum >= part.maximum;
    const RowState big = first ? into : part, small = first ? part : into;
    if (into.maximum != into.maximum || part.maximum != part.maximum) {
        into.maximum = not_a_number<double>;
    } else if (small.maximum == -__builtin_inf() || big.maximum == __builtin_inf()) {
        into = big;
    } else if (function == Function::softmax) {
        Total factor = ratio(scale, small.offset, big.offset, small.power - big.power);
        into = with_total(big, total_of(big) + scaled(total_of(small), factor));
    } else {
        Total factor = ratio(scale, small.maximum, big.maximum, 300);
        into = with_total(big, total_of(big) + scaled(total_of(small) + Total{1, 0}, factor) * 0x1p-300);
    }
    into.minimum = minimum;
}

// The largest number of the lane type that is not above `logit`, or nearly so.
template <class T> inline T not_above(double logit) {
    if (sizeof(T) == 8) return static_cast<T>(logit);
    const double lower = logit - magnitude(logit) * 0x1p-24, most = 0x1.fffffep127;
    return static_cast<T>(lower > most ? most : lower < -most ? -most : lower);
}

// A further logit that takes its share of the sum and has no output: merged as a row of one element. Its reference
// is one that the row can take over; the logit itself need not be a number of the lane type.
template <class T> inline void merge_sink(const Task& task, const Scale<T>& scale, Index row, RowState& state) {
    if (!task.sink.data) return;
    double logit = read<double>(task.sink.data + locate(task.outer, task.sink.outer, row), false);
    RowState sink = empty_state;
    sink.maximum = sink.minimum = logit;
    if (task.function == Function::softmax && is_finite(logit)) {
        Reference to = reference(scale, not_above<T>(logit));
        Total share = ratio(scale, logit, to.offset, -to.power);
        if (share.high > 0x1p900) share = {0x1p900, 0};  // all else is zero, and total must stay finite
        sink.offset = to.offset;
        sink.power = to.power;
        sink = with_total(sink, share * Lanes<T>::bias);
    }
    merge(scale, task.function, state, sink);
}

// factor / total, the factor a power of two: of floats nineteen bits, whose product with a value of an exponential is
// exact, and what they lack of it, relative to them; of doubles two parts.
template <class Number> inline void inverse_of(Number total, double factor, Number& high, Number& lacking) {
    const Number quotient = same(total, factor) / total, cut = quotient * same(total, 0x1p34 + 1);
    high = cut - (cut - quotient);
    lacking = (quotient - high) * (total * same(total, 1 / factor));
}
inline void inverse(Total total, double factor, float& high, float& lacking) {
    double part, rest;
    inverse_of(total.high, factor, part, rest);
    high = static_cast<float>(part);
    lacking = static_cast<float>(rest);
}
inline void inverse(Total total, double factor, double& high, double& low) {
    high = factor / total.high;
    low = fused(-high, total.low, fused(-high, total.high, factor)) / total.high;
}

// value (1 + excess) times an inverse in two parts, rounded once.
inline __attribute__((always_inline)) Floats share_of(Floats value, Floats excess, Floats high, Floats lacking) {
    const Floats share = value * high;
    return fma(share, fma(excess, broadcast(1.0f) + lacking, lacking), share);
}
inline __attribute__((always_inline)) Doubles share_of(Doubles value, Doubles excess, Doubles high, Doubles low) {
    return fma(value, high, value * fma(excess, high, low));
}

// Where a result may be subnormal it is computed lifted and lowered at the end, exactly unless it is; where none is,
// `all_normal` gives the same bits.
template <class T, bool all_normal, class Vector> inline __attribute__((always_inline)) Vector lowered(Vector result) {
    if (all_normal) return result;
    return multiply_where(less(broadcast(Lanes<T>::vanishing), result), result, broadcast(1 / Lanes<T>::lift));
}

// An exponential divided by the total.
template <class T, bool all_normal> struct Normalizer {
    using Vector = typename Lanes<T>::Vector;
    Vector high, low;
    inline __attribute__((always_inline)) Vector of(Vector value, Vector excess) const {
        return lowered<T, all_normal>(share_of(value, excess, high, low));
    }
};

// Exponentials that are divided by their total as they are computed. What the inverse of floats lacks is then a part of
// their exponents: of the table of a row, or of each lane where every lane is a row of its own.
inline float powers_of(float lacking) { return static_cast<float>(lacking * 0x1.71547652b82fep+0); }
inline double powers_of(double low) { return low; }
inline void raise(Exponential<float>& exponential, float lacking) { exponential.tables.raise(powers_of(lacking)); }
inline void raise(Exponential<double>&, double) {}
template <bool all_normal, int count, class... Raised>
inline __attribute__((always_inline)) void shares(const Exponential<float>& exponential, Floats high,
                                                  Floats (&x)[count], Raised... raised) {
    Floats value[count], excess[count];
    exponential.parts<all_normal>(x, value, excess, raised...);
    for (int k = 0; k < count; k++) value[k] = value[k] * high;
    for (int k = 0; k < count; k++) x[k] = lowered<float, all_normal>(fma(value[k], excess[k], value[k]));
}
template <bool all_normal, int count>
inline __attribute__((always_inline)) void shares_of_row(const Exponential<float>& raised, Floats high, Floats,
                                                         Floats (&x)[count]) {
    shares<all_normal>(raised, high, x);
}
template <bool all_normal, int count>
inline __attribute__((always_inline)) void shares_of_lanes(const Exponential<float>& exponential, Floats high,
                                                           Floats powers, Floats (&x)[count]) {
    shares<all_normal>(exponential, high, x,
                       [=](Floats entry) __attribute__((always_inline)) { return entry + powers; });
}
template <bool all_normal, int count>
inline __attribute__((always_inline)) void shares_of_row(const Exponential<double>& exponential, Doubles high,
                                                         Doubles low, Doubles (&x)[count]) {
    const Normalizer<double, all_normal> normalizer = {high, low};
    Doubles value[count], excess[count];
    exponential.parts<all_normal>(x, value, excess);
    for (int k = 0; k < count; k++) x[k] = normalizer.of(value[k], excess[k]);
}
template <bool all_normal, int count>
inline __attribute__((always_inline)) void shares_of_lanes(const Exponential<double>& exponential, Doubles high,
                                                           Doubles low, Doubles (&x)[count]) {
    shares_of_row<all_normal>(exponential, high, low, x);
}

// log(1 + y) from that of y.high, in two parts.
inline Total log1p_of(Total y, double high, double low) { return two_sum(high, low + y.low / (1 + y.high)); }
inline Total log1p(Total y) {
    double low, high = log1p(y.high, low);
    return log1p_of(y, high, low);
}

// log(1 + total) of up to sixteen rows: in the lanes of one vector, each costs little more than one alone.
inline void take_logarithms(RowState* states, int rows) {
    double others[group_rows] = {}, high[group_rows], low[group_rows];
    for (int r = 0; r < rows; r++) others[r] = is_finite(states[r].maximum) ? states[r].total : 0;
    for (int r = 0; r < rows; r += 8) {
        Doubles rest;
        store(high + r, log1p(load(others + r), rest));
        store(low + r, rest);
    }
    for (int r = 0; r < rows; r++) {
        const Total log_total = others[r] > 0 ? log1p_of(total_of(states[r]), high[r], low[r]) : Total{0, 0};
        states[r].log_total = log_total.high;
        states[r].log_total_low = log_total.low;
    }
}

inline Total reciprocal(double x) {
    double high = 1 / x;
    return {high, fused(-high, x, 1) / x};
}
// (x - maximum) slope - log_total. In double the rounding of the difference is put back; infinite differences make
// the part that does so no number, and have no use for it.
inline Floats shifted_log(Floats x, double maximum, Total slope, Total log_total) {
    Doubles low, high, m = broadcast(maximum), s = broadcast(slope.high), l = broadcast(log_total.high);
    widen(x, low, high);
    return narrow(fms(low - m, s, l), fms(high - m, s, l));
}
inline Doubles shifted_log(Doubles x, double maximum, Total slope, Total log_total) {
    const Doubles minus = broadcast(-maximum), s = broadcast(slope.high);
    Doubles difference = x + minus, part = difference - x;
    Doubles lost = (x - (difference - part)) + (minus - part);
    Doubles rest = fma(lost, s, fms(difference, broadcast(slope.low), broadcast(log_total.low)));
    return fms(difference, s, broadcast(log_total.high)) + minimum(rest, broadcast(0x1p1000));
}
// x - (high + low), rounded once: the difference in two parts. Where |x| <= |high| they are had for little (Dekker),
// else for more (Knuth), and the second is NaN where x is infinite. (Some of the sums are products by one: processors
// that add and multiply in different units do both at once.)
template <bool within> inline Floats shifted(Floats x, Floats high, Floats low) {
    const Floats one = broadcast(1.0f), difference = fms(x, one, high);
    if (within) return difference + (fms(x, one, difference + high) - low);
    const Floats part = difference - x;
    const Floats rest = (x - (difference - part)) - (part + high);
    return difference + minimum(rest - low, broadcast(0x1p100f));
}

}  // namespace
