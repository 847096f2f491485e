// Cross-entropy of rows: a first sweep for the state and the loss, and a second for the gradient.
#pragma once

#include "loss_value.h"

namespace {

// value (1 + excess) * factor - a_k, from index i on.
struct Difference {
    Doubles factor;
    double take;
    const double* u;
    long n;
    inline __attribute__((always_inline)) Doubles operator()(Doubles value, Doubles excess, long i) const {
        Doubles taken = broadcast(take);
        if (u) taken = taken * some_of(u + i, n - i);
        return fma(value, factor, fms(value * excess, factor, taken));
    }
};
inline void gradient_part(const LossTask& task, const Scale<double>& scale, Exponential<double>& exponential, const State& state,
                          const RowGradient& gradient, const Coefficient& coefficient, const double* x, double* out, long n) {
    Reference to = reference(scale, state.maximum);
    exponential.relative_to(scale, to);
    double unit = Lanes<double>::bias * ratio(scale, state.maximum, to.offset, -to.power).high * (1 + state.total);
    const Difference difference = {broadcast(gradient.pull / unit), task.scale * coefficient.take(), coefficient.u, n};
    const Exponential<double> local = exponential;
    map<double>(x, out, n, false, nullptr, 0, [=](auto& v, long i) __attribute__((always_inline)) {
        constexpr int count = sizeof(v) / sizeof(v[0]);
        Doubles value[count], excess[count];
        local.template parts<false>(v, value, excess);
        for (int k = 0; k < count; k++, i += 8) v[k] = difference(value[k], excess[k], i);
    });
}
inline void kept_gradient(const LossTask& task, double factor, double unit, bool, const Coefficient& coefficient, const double* values,
                          const double* excesses, double* out, long n, long next) {
    const Difference difference = {broadcast(factor / unit), task.scale * coefficient.take(), coefficient.u, n};
    map<double>(values, out, n, false, nullptr, next, [=](auto& v, long i) __attribute__((always_inline)) {
        for (auto& one : v) {
            one = difference(one, load(excesses + i), i);
            i += 8;
        }
    });
}

// value (1 + excess) * (high + low), rounded once; lowered exactly unless the result is subnormal. `plain`: none is.
template <bool plain> struct Pull {
    static constexpr double lift = plain ? 1 : Lanes<float>::lift;
    Floats high, low;
    Pull(double unit, double factor) {
        double quotient = factor * lift / unit;
        float part = static_cast<float>(quotient);
        high = broadcast(part);
        low = broadcast(static_cast<float>(quotient - part));
    }
    // For sixteen rows, the quotients with the lift already.
    Pull(Doubles first, Doubles second) {
        Doubles a, b;
        high = narrow(first, second);
        widen(high, a, b);
        low = narrow(first - a, second - b);
    }
    inline __attribute__((always_inline)) Floats operator()(Floats value, Floats excess) const {
        Floats lifted = fma(value, high, value * fma(excess, high, low));
        if (plain) return lifted;
        FloatsMask vanishes = less_equal(absolute(lifted), broadcast(Lanes<float>::vanishing));
        return select(vanishes, broadcast(0.0f), lifted) * broadcast(1 / Lanes<float>::lift);
    }
};

constexpr double least_pull = 0x1p-30;    // of a plain result relative to the largest exponential: none is subnormal
constexpr double most_pull = 0x1p60;     // above, a factor in single precision could overflow
constexpr double least_shift = 0x1p-900;  // below, one in double precision could underflow

inline void gradient_part(const LossTask& task, const Scale<float>& scale, Exponential<float>& exponential, const State& state,
                          const RowGradient& gradient, const Coefficient&, const float* x, float* out, long n) {
    if (!(magnitude(gradient.pull) < most_pull)) {
        const double top = 1 / (1 + state.total);
        for (long i = 0; i < n; i++)
            out[i] = static_cast<float>(gradient.pull * (ratio(scale, first_of(x + i), state.maximum, 0).high * top));
        return;
    }
    Reference to = reference(scale, static_cast<float>(state.maximum));
    exponential.relative_to(scale, to);
    double unit = Lanes<float>::bias * ratio(scale, state.maximum, to.offset, -to.power).high * (1 + state.total);
    const Pull<false> pull(unit, gradient.pull);
    const Exponential<float> local = exponential;
    map<float>(x, out, n, task.rows.stream, nullptr, 0, [=](auto& v, long) __attribute__((always_inline)) {
        constexpr int count = sizeof(v) / sizeof(v[0]);
        Floats value[count], excess[count];
        local.template parts<false>(v, value, excess);
        for (int k = 0; k < count; k++) v[k] = pull(value[k], excess[k]);
    });
}

inline void kept_gradient(const LossTask& task, double factor, double unit, bool plain, const Coefficient&, const float* values,
                          const float* excesses, float* out, long n, long next) {
    plain = plain && magnitude(factor) * Lanes<float>::bias > least_pull * unit;
    with_constant(plain, [&](auto is_plain) __attribute__((always_inline)) {
        const Pull<decltype(is_plain)::value> pull(unit, factor);
        map<float>(values, out, n, task.rows.stream, nullptr, next, [=](auto& v, long i) __attribute__((always_inline)) {
            for (auto& one : v) {
                one = pull(one, load(excesses + i));
                i += 16;
            }
        });
    });
}

#include "short_losses.h"

template <class T> struct LossEngine {
    const LossTask& task;
    Engine<T> engine;
    Targets targets;
    explicit LossEngine(const LossTask& t) : task(t), engine(t.rows), targets(t) {}

    bool with_gradient() const { return task.rows.output.data != nullptr; }

    double loss_of(const RowTarget& target, long row, const State& state, const Spread& spread, RowGradient& gradient) {
        if (is_finite(state.maximum)) return row_loss(task, engine.scale, targets, target, row, state, spread, gradient);
        const bool hidden = task.rows.where.data && state.maximum < 0 && targets.unmasked(row) == 0;
        if (!hidden) return not_a_number<double>;
        return target.label != no_label && target.own.high == 0 ? 0 : infinity<double>;
    }
    // The gradient of a part of a row; `placed` tells whether the label's entry has been written.
    void write_part(const RowTarget& target, long row, const State& state, const RowGradient& gradient, const T* x, T* out, long start,
                    long n, bool& placed) {
        if (!is_finite(state.maximum)) return fill(out, n, not_a_number<T>);
        const double* u = targets.part(target, row, start, n, nullptr);
        const Coefficient coefficient = {targets.spreads, target.factor, u};
        const long at = target.label != no_label ? target.label - start : placed ? n : find(x, n, static_cast<T>(state.maximum));
        gradient_part(task, engine.scale, engine.exponential, state, gradient, coefficient, x, out, n);
        if (at < 0 || at >= n) return;
        out[at] = static_cast<T>(gradient.at_label(task.scale, coefficient.at(at)));
        placed = true;
    }

    // Rows that fit one chunk, finished while they are in the first cache.
    void chunk_rows(Part<T> part) {
        part.length = task.rows.classes;
        const T* in[group_rows];
        T* out[group_rows];
        part.fetch(in);
        if (with_gradient()) part.targets(out);
        Largest<T> largest[group_rows];
        for (int r = 0; r < part.rows; r++) largest[r] = two_largest<T>(in[r], part.length);
        const bool keeps = with_gradient() && part.length <= kept_row;
        const int step = static_cast<int>(rows_together(part.length));
        for (int r = 0; keeps && r < part.rows; r += step)
            kept_rows(part.first_row + r, part.rows - r < step ? part.rows - r : step, largest + r, in + r, out + r, part.length);
        for (int r = 0; !keeps && r < part.rows; r++)
            finish_recomputed(part.first_row + r, largest[r], in[r], with_gradient() ? out[r] : nullptr, part.length);
        if (with_gradient()) part.commit(out, static_cast<T>(0));
    }
    void finish_recomputed(long row, const Largest<T>& largest, const T* x, T* out, long n) {
        if (!targets.counts(row)) {
            task.loss[row] = 0;
            if (out) fill(out, n, static_cast<T>(0));
            return;
        }
        RowGradient gradient;
        const RowTarget target = targets.of(row);
        State state = sum_of_others(x, n, largest, engine.scale, engine.exponential);
        task.loss[row] = loss_of_whole(target, row, state, x, n, gradient);
        bool placed = false;
        if (out) write_part(target, row, state, gradient, x, out, 0, n, placed);
    }
    double loss_of_whole(const RowTarget& target, long row, const State& state, const T* x, long n, RowGradient& gradient) {
        Spread spread = targets.empty_spread(target);
        if (targets.spreads) targets.add_part(target, row, x, 0, n, state.maximum, spread);
        return loss_of(target, row, state, spread, gradient);
    }
    // The exponentials of the sum are kept for the gradient; they leave the maximum out, which is put in its place. Each
    // step is done for all rows before the next: most are chains of dependent operations, and those of several rows overlap.
    void kept_rows(long first_row, int rows, const Largest<T>* largest, const T* const* in, T* const* out, long n) {
        using Vector = typename Lanes<T>::Vector;
        constexpr long space = most_together + group_rows * Lanes<T>::width;
        alignas(64) T values[space], excesses[space];
        const long stride = (n + Lanes<T>::width - 1) / Lanes<T>::width * Lanes<T>::width;
        State states[group_rows];
        RowTarget target[group_rows];
        RowGradient gradient[group_rows];
        bool kept[group_rows];
        for (int r = 0; r < rows; r++) {
            const T first = largest[r].first, second = largest[r].second;
            kept[r] = targets.counts(first_row + r) && is_finite(first) && second != first && second != -infinity<T>;
            if (!kept[r]) continue;
            T *value_to = values + r * stride, *excess_to = excesses + r * stride;
            states[r] = sum_of_others<T>(in[r], n, largest[r], engine.scale, engine.exponential, nullptr, rows * n,
                                         [=](Vector value, Vector excess, long i) __attribute__((always_inline)) {
                                             store(value_to + i, value);
                                             store(excess_to + i, excess);
                                         });
        }
        for (int r = 0; r < rows; r++) {
            if (!kept[r]) {
                finish_recomputed(first_row + r, largest[r], in[r], out[r], n);
                continue;
            }
            target[r] = targets.of(first_row + r);
            task.loss[first_row + r] = loss_of_whole(target[r], first_row + r, states[r], in[r], n, gradient[r]);
        }
        for (int r = 0; r < rows; r++)
            if (kept[r]) write_kept(target[r], first_row + r, largest[r], states[r], gradient[r], in[r], out[r], n, values + r * stride,
                                    excesses + r * stride, rows * n);
    }
    void write_kept(const RowTarget& target, long row, const Largest<T>& largest, const State& state, const RowGradient& gradient,
                    const T* x, T* out, long n, const T* values, const T* excesses, long next) {
        const T first = largest.first;
        const Reference to = reference(engine.scale, largest.second);
        const double shift = ratio(engine.scale, to.offset, first, to.power).high;
        bool placed = false;
        if (!is_finite(state.maximum) || !(magnitude(gradient.pull) < most_pull) || shift < least_shift)
            return write_part(target, row, state, gradient, x, out, 0, n, placed);
        const long top = first_equal(x, n, first), at = target.label != no_label ? target.label : top;
        const double* u = targets.part(target, row, 0, n, nullptr);
        const Coefficient coefficient = {targets.spreads, target.factor, u};
        kept_gradient(task, gradient.pull * shift, Lanes<T>::bias * (1 + state.total), state.plain, coefficient, values, excesses, out, n,
                      next);
        out[top] = static_cast<T>(gradient.top - task.scale * coefficient.at(top).high);
        out[at] = static_cast<T>(gradient.at_label(task.scale, coefficient.at(at)));
    }

    // Longer rows, by the same borders as the activations: their states are the same.
    void long_rows(Part<T> part) {
        State states[group_rows], segment[group_rows];
        RowGradient gradients[group_rows];
        Spread spreads[group_rows];
        long classes = task.rows.classes, length = segment_length(classes), segments = segment_count(classes);
        engine.reduce(part, 0, length < classes ? length : classes, states);
        for (long s = 1; s < segments; s++) {
            engine.reduce(part, s * length, (s + 1) * length < classes ? (s + 1) * length : classes, segment);
            for (int r = 0; r < part.rows; r++) merge(engine.scale, task.rows.function, states[r], segment[r]);
        }
        for (int r = 0; r < part.rows; r++)
            if (targets.counts(part.first_row + r)) spreads[r] = targets.empty_spread(targets.of(part.first_row + r));
        if (targets.spreads) add_spreads(part, states, spreads);
        for (int r = 0; r < part.rows; r++) {
            long row = part.first_row + r;
            task.loss[row] = targets.counts(row) ? loss_of(targets.of(row), row, states[r], spreads[r], gradients[r]) : 0;
        }
        if (with_gradient()) long_gradients(part, states, gradients);
    }
    template <class Fn> void each_chunk_of(Part<T> part, Fn fn) {
        for (part.start = 0; part.start < task.rows.classes; part.start += chunk) {
            long rest = task.rows.classes - part.start;
            part.length = rest < chunk ? rest : chunk;
            const T* in[group_rows];
            part.fetch(in);
            fn(part, in);
        }
    }
    void add_spreads(const Part<T>& whole, const State* states, Spread* spreads) {
        each_chunk_of(whole, [&](const Part<T>& part, const T* const* in) {
            for (int r = 0; r < part.rows; r++) {
                const long row = part.first_row + r;
                if (targets.counts(row))
                    targets.add_part(targets.of(row), row, in[r], part.start, part.length, states[r].maximum, spreads[r]);
            }
        });
    }
    void long_gradients(const Part<T>& whole, const State* states, const RowGradient* gradients) {
        bool placed[group_rows] = {};
        each_chunk_of(whole, [&](const Part<T>& part, const T* const* in) {
            T* out[group_rows];
            part.targets(out);
            for (int r = 0; r < part.rows; r++) {
                const long row = part.first_row + r;
                if (targets.counts(row)) {
                    write_part(targets.of(row), row, states[r], gradients[r], in[r], out[r], part.start, part.length, placed[r]);
                } else {
                    fill(out[r], part.length, static_cast<T>(0));
                }
            }
            part.commit(out, static_cast<T>(0));
        });
    }

    bool short_lanes(const Part<float>& part) {
        if (task.rows.classes > short_row || task.focal != 0) return false;
        short_losses(*this, part);
        return true;
    }
    bool short_lanes(const Part<double>&) { return false; }

    void group(Part<T> part) {
        part.length = task.rows.classes;
        if (short_lanes(part)) return;
        part.in_columns() ? rows(part) : engine.few_together(part, [&](const Part<T>& few) { rows(few); });
    }
    void rows(const Part<T>& part) { task.rows.classes <= chunk ? chunk_rows(part) : long_rows(part); }
};

}  // namespace
