// What is written of a gradient: an entry from each exponential.
#pragma once

#include "loss_value.h"

namespace {

// What the gradient is at an index, from the exponential there.
template <class T, bool all_normal> struct GradientEntry;

// value (1 + excess) * factor / unit - a_k, from index i on.
template <bool all_normal> struct GradientEntry<double, all_normal> {
    Doubles factor, take;
    const double* u;
    Index n;
    GradientEntry(double factor, double unit, const LossTask& task, const Coefficient& coefficient, Index length)
        : factor(broadcast(factor / unit)), take(broadcast(task.scale * coefficient.take())), u(coefficient.u),
          n(length) {}
    inline __attribute__((always_inline)) Doubles operator()(Doubles value, Doubles excess, Index i) const {
        const Doubles taken = u ? take * some_of(u + i, n - i) : take;
        return fma(value, factor, fms(value * excess, factor, taken));
    }
};

// value (1 + excess) * (high + low), rounded once; lowered exactly unless the result is subnormal. `all_normal`: none
// is.
template <bool all_normal> struct GradientEntry<float, all_normal> {
    static constexpr double lift = all_normal ? 1 : Lanes<float>::lift;
    Floats high, low;
    GradientEntry(double factor, double unit) {
        double quotient = factor * lift / unit;
        float part = static_cast<float>(quotient);
        high = broadcast(part);
        low = broadcast(static_cast<float>(quotient - part));
    }
    GradientEntry(double factor, double unit, const LossTask&, const Coefficient&, Index)
        : GradientEntry(factor, unit) {}
    // For sixteen rows, the quotients with the lift already.
    GradientEntry(Doubles first, Doubles second) {
        Doubles a, b;
        high = narrow(first, second);
        widen(high, a, b);
        low = narrow(first - a, second - b);
    }
    inline __attribute__((always_inline)) Floats operator()(Floats value, Floats excess, Index = 0) const {
        Floats lifted = fma(value, high, value * fma(excess, high, low));
        if (all_normal) return lifted;
        FloatsMask vanishes = less_equal(absolute(lifted), broadcast(Lanes<float>::vanishing));
        return select(vanishes, broadcast(0.0f), lifted) * broadcast(1 / Lanes<float>::lift);
    }
};

constexpr double least_factor = 0x1p-30;  // relative to the largest exponential: above, no result is subnormal
constexpr double most_factor = 0x1p60;    // above, a factor in single precision could overflow
constexpr double least_shift = 0x1p-900;  // below, one in double precision could underflow

// Where the parts of the exponentials come from: those that were kept, whose values are mapped, or the logits.
template <class T> struct KeptExponentials {
    const T* excesses;
    template <bool all_normal, class Vector, int count>
    inline __attribute__((always_inline)) void parts(const Vector (&v)[count], Vector (&value)[count],
                                                     Vector (&excess)[count], Index i) const {
        for (int k = 0; k < count; k++) {
            value[k] = v[k];
            excess[k] = load(excesses + i + k * Lanes<T>::width);
        }
    }
};
template <class T> struct ComputedExponentials {
    Exponential<T> exponential;
    template <bool all_normal, class Vector, int count>
    inline __attribute__((always_inline)) void parts(const Vector (&v)[count], Vector (&value)[count],
                                                     Vector (&excess)[count], Index) const {
        exponential.template parts<all_normal>(v, value, excess);
    }
};

// factor / unit times the exponentials, less the coefficients.
struct EntryOptions {
    double factor, unit;
    bool all_normal, stream;
    Index next;
};
template <class T, class Parts>
inline void write_entries(const LossTask& task, const EntryOptions& by, const Coefficient& coefficient, const T* from,
                          Parts parts, T* out, Index n) {
    using Vector = typename Lanes<T>::Vector;
    with_constant(by.all_normal, [&](auto all_normal) __attribute__((always_inline)) {
        constexpr bool is_all_normal = decltype(all_normal)::value;
        const GradientEntry<T, is_all_normal> entry(by.factor, by.unit, task, coefficient, n);
        map<T>(from, out, n, by.stream, nullptr, by.next, [=](auto& v, Index i) __attribute__((always_inline)) {
            constexpr int count = sizeof(v) / sizeof(v[0]);
            Vector value[count], excess[count];
            parts.template parts<is_all_normal>(v, value, excess, i);
            for (int k = 0; k < count; k++) v[k] = entry(value[k], excess[k], i + k * Lanes<T>::width);
        });
    });
}

}  // namespace
