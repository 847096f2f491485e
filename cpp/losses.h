// Cross-entropy of rows: a first sweep for the state and the loss, and a second for the gradient.
#pragma once

#include "loss_value.h"
#include "softmax.h"

namespace {

// value (1 + excess) * factor / unit - a_k, from index i on.
template <bool> struct Difference {
    Doubles factor, take;
    const double* u;
    long n;
    Difference(double factor, double unit, const LossTask& task, const Coefficient& coefficient, long length)
        : factor(broadcast(factor / unit)), take(broadcast(task.scale * coefficient.take())), u(coefficient.u), n(length) {}
    inline __attribute__((always_inline)) Doubles operator()(Doubles value, Doubles excess, long i) const {
        const Doubles taken = u ? take * some_of(u + i, n - i) : take;
        return fma(value, factor, fms(value * excess, factor, taken));
    }
};

// value (1 + excess) * (high + low), rounded once; lowered exactly unless the result is subnormal. `plain`: none is.
template <bool plain> struct Pull {
    static constexpr double lift = plain ? 1 : Lanes<float>::lift;
    Floats high, low;
    Pull(double factor, double unit) {
        double quotient = factor * lift / unit;
        float part = static_cast<float>(quotient);
        high = broadcast(part);
        low = broadcast(static_cast<float>(quotient - part));
    }
    Pull(double factor, double unit, const LossTask&, const Coefficient&, long) : Pull(factor, unit) {}
    // For sixteen rows, the quotients with the lift already.
    Pull(Doubles first, Doubles second) {
        Doubles a, b;
        high = narrow(first, second);
        widen(high, a, b);
        low = narrow(first - a, second - b);
    }
    inline __attribute__((always_inline)) Floats operator()(Floats value, Floats excess, long = 0) const {
        Floats lifted = fma(value, high, value * fma(excess, high, low));
        if (plain) return lifted;
        FloatsMask vanishes = less_equal(absolute(lifted), broadcast(Lanes<float>::vanishing));
        return select(vanishes, broadcast(0.0f), lifted) * broadcast(1 / Lanes<float>::lift);
    }
};

template <class T> struct EntryOf { template <bool plain> using type = Pull<plain>; };
template <> struct EntryOf<double> { template <bool plain> using type = Difference<plain>; };

constexpr double least_pull = 0x1p-30;    // of a plain result relative to the largest exponential: none is subnormal
constexpr double most_pull = 0x1p60;      // above, a factor in single precision could overflow
constexpr double least_shift = 0x1p-900;  // below, one in double precision could underflow

// Where the parts of the exponentials come from: those that were kept, whose values are mapped, or the logits.
template <class T> struct Kept {
    const T* excesses;
    template <bool plain, class Vector, int count>
    inline __attribute__((always_inline)) void parts(const Vector (&v)[count], Vector (&value)[count], Vector (&excess)[count], long i) const {
        for (int k = 0; k < count; k++) {
            value[k] = v[k];
            excess[k] = load(excesses + i + k * Lanes<T>::width);
        }
    }
};
template <class T> struct Computed {
    Exponential<T> exponential;
    template <bool plain, class Vector, int count>
    inline __attribute__((always_inline)) void parts(const Vector (&v)[count], Vector (&value)[count], Vector (&excess)[count], long) const {
        exponential.template parts<plain>(v, value, excess);
    }
};

// factor / unit times the exponentials, less the coefficients.
struct Factor {
    double factor, unit;
    bool plain, stream;
    long next;
};
template <class T, class Parts>
inline void write_entries(const LossTask& task, const Factor& by, const Coefficient& coefficient, const T* from, Parts parts, T* out, long n) {
    using Vector = typename Lanes<T>::Vector;
    with_constant(by.plain, [&](auto plain) __attribute__((always_inline)) {
        constexpr bool is_plain = decltype(plain)::value;
        const typename EntryOf<T>::template type<is_plain> entry(by.factor, by.unit, task, coefficient, n);
        map<T>(from, out, n, by.stream, nullptr, by.next, [=](auto& v, long i) __attribute__((always_inline)) {
            constexpr int count = sizeof(v) / sizeof(v[0]);
            Vector value[count], excess[count];
            parts.template parts<is_plain>(v, value, excess, i);
            for (int k = 0; k < count; k++) v[k] = entry(value[k], excess[k], i + k * Lanes<T>::width);
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
    // What goes to the buffer is read again at once.
    bool streams() const { return task.rows.stream && Part<T>::direct(task.rows.output, task.rows.inner); }

    double loss_of(const RowTarget& target, long row, const State& state, const Spread& spread, RowGradient& gradient) {
        if (is_finite(state.maximum)) return row_loss(task, engine.scale, targets, target, row, state, spread, gradient);
        const bool hidden = task.rows.where.data && state.maximum < 0 && targets.unmasked(row) == 0;
        return hidden ? 0 : not_a_number<double>;
    }
    // The gradient but for the label's entry, from the exponentials relative to the maximum.
    void write_computed(const State& state, const RowGradient& gradient, const Coefficient& coefficient, const T* x, T* out, long n) {
        if (sizeof(T) == 4 && !(magnitude(gradient.pull) < most_pull)) {
            const double top = 1 / (1 + state.total);
            for (long i = 0; i < n; i++)
                out[i] = static_cast<T>(gradient.pull * (ratio(engine.scale, first_of(x + i), state.maximum, 0).high * top));
            return;
        }
        const Reference to = reference(engine.scale, static_cast<T>(state.maximum));
        engine.exponential.relative_to(engine.scale, to);
        const double unit = Lanes<T>::bias * ratio(engine.scale, state.maximum, to.offset, -to.power).high * (1 + state.total);
        write_entries(task, {gradient.pull, unit, false, streams(), 0}, coefficient, x, Computed<T>{engine.exponential}, out, n);
    }
    // The gradient of a part of a row; `placed` tells whether the label's entry has been written.
    void write_part(const RowTarget& target, long row, const State& state, const RowGradient& gradient, const T* x, T* out, long start,
                    long n, bool& placed) {
        if (!is_finite(state.maximum)) return fill(out, n, not_a_number<T>);
        const double* u = targets.part(target, row, start, n, nullptr);
        const Coefficient coefficient = {targets.spreads, target.factor, u};
        const long at = target.label != no_label ? target.label - start : placed ? n : find(x, n, static_cast<T>(state.maximum));
        write_computed(state, gradient, coefficient, x, out, n);
        if (at < 0 || at >= n) return;
        out[at] = static_cast<T>(gradient.at_label(task.scale, coefficient.at(at)));
        placed = true;
    }

    // The sums of a row that a sweep without gradient found are there for the one that writes it.
    double* sums() const { return task.rows.classes > short_loss ? task.sums : nullptr; }
    bool recalls() const { return sums() && with_gradient(); }
    void remember(long row, const State& state, T second) const {
        if (!sums() || with_gradient()) return;
        const double numbers[sums_kept] = {state.maximum, static_cast<double>(second), state.total, state.total_low, static_cast<double>(state.plain)};
        memcpy(task.sums + row * sums_kept, numbers, sizeof numbers);
    }
    State recalled(long row, Largest<T>& largest) const {
        const double* numbers = task.sums + row * sums_kept;
        State state = empty_state;
        state.maximum = numbers[0];
        state.total = numbers[2];
        state.total_low = numbers[3];
        state.plain = numbers[4] != 0;
        largest = {static_cast<T>(numbers[0]), static_cast<T>(numbers[1]), 0};
        return state;
    }

    // Rows that fit one chunk, each finished while it is in the first cache.
    void chunk_rows(Part<T> part) {
        part.length = task.rows.classes;
        const T* in[group_rows];
        T* out[group_rows];
        part.fetch(in);
        if (with_gradient()) part.targets(out);
        Largest<T> largest[group_rows];
        State states[group_rows];
        const long next = part.rows * part.length;
        for (int r = 0; r < part.rows && !recalls(); r++) largest[r] = two_largest<T>(in[r], part.length);
        if (!with_gradient()) {
            for (int r = 0; r < part.rows; r++) {
                const long row = part.first_row + r;
                states[r] = targets.counts(row) ? sum_of_row(row, largest[r], in[r], part.length, next) : empty_state;
            }
            take_logarithms(states, part.rows);
        }
        for (int r = 0; r < part.rows; r++) {
            const long row = part.first_row + r;
            RowGradient gradient;
            if (!targets.counts(row)) {
                task.loss[row] = 0;
                if (with_gradient()) fill(out[r], part.length, static_cast<T>(0));
            } else if (with_gradient()) {
                gradient_of_row(row, largest[r], in[r], out[r], part.length, next);
            } else {
                task.loss[row] = loss_of_whole(targets.of(row), row, states[r], in[r], part.length, gradient);
            }
        }
        if (with_gradient()) part.commit(out, static_cast<T>(0));
    }
    State sum_of_row(long row, const Largest<T>& largest, const T* x, long n, long next) {
        const State state = sum_of_others<T>(x, n, largest, engine.scale, engine.exponential, nullptr, next);
        remember(row, state, largest.second);
        return state;
    }
    static bool is_regular(const Largest<T>& largest) {
        return is_finite(largest.first) && largest.second != largest.first && largest.second != -infinity<T>;
    }
    void loss_of_row(long row, const Largest<T>& largest, const T* x, long n) {
        State state = sum_of_row(row, largest, x, n, 0);
        take_logarithms(&state, 1);
        RowGradient gradient;
        task.loss[row] = loss_of_whole(targets.of(row), row, state, x, n, gradient);
    }
    // The loss too.
    void gradient_of_row(long row, Largest<T> largest, const T* x, T* out, long n, long next) {
        using Vector = typename Lanes<T>::Vector;
        alignas(64) T values[kept_row<T> + Lanes<T>::width], excesses[kept_row<T> + Lanes<T>::width];
        const bool keeps = n <= kept_row<T> && !recalls() && is_regular(largest);
        State state;
        if (recalls()) {
            state = recalled(row, largest);
        } else if (keeps) {
            state = sum_of_others<T>(x, n, largest, engine.scale, engine.exponential, nullptr, next,
                                     [&](Vector value, Vector excess, long i, int) __attribute__((always_inline)) {
                                         store(values + i, value);
                                         store(excesses + i, excess);
                                     });
        } else {
            state = sum_of_row(row, largest, x, n, next);
        }
        take_logarithms(&state, 1);
        RowGradient gradient;
        const RowTarget target = targets.of(row);
        task.loss[row] = loss_of_whole(target, row, state, x, n, gradient);
        bool placed = false;
        if (n > kept_row<T> || !is_regular(largest) || !is_finite(state.maximum) || !(magnitude(gradient.pull) < most_pull))
            return write_part(target, row, state, gradient, x, out, 0, n, placed);
        const Reference to = reference(engine.scale, largest.second);
        const double shift = ratio(engine.scale, to.offset, largest.first, to.power).high;
        if (shift < least_shift) return write_part(target, row, state, gradient, x, out, 0, n, placed);
        // The exponentials of the sum leave the maximum out, which is put in its place.
        const long top = first_equal(x, n, largest.first), at = target.label != no_label ? target.label : top;
        const Coefficient coefficient = {targets.spreads, target.factor, targets.part(target, row, 0, n, nullptr)};
        Factor factor = {gradient.pull * shift, Lanes<T>::bias * (1 + state.total), false, streams(), next};
        factor.plain = state.plain && magnitude(factor.factor) * Lanes<T>::bias > least_pull * factor.unit;
        if (keeps) {
            write_entries(task, factor, coefficient, values, Kept<T>{excesses}, out, n);
        } else {
            engine.exponential.relative_to(engine.scale, to);
            write_entries(task, factor, coefficient, x, Computed<T>{engine.exponential}, out, n);
        }
        out[top] = static_cast<T>(gradient.top - task.scale * coefficient.at(top).high);
        out[at] = static_cast<T>(gradient.at_label(task.scale, coefficient.at(at)));
    }
    double loss_of_whole(const RowTarget& target, long row, const State& state, const T* x, long n, RowGradient& gradient) {
        Spread spread = targets.empty_spread(target);
        if (targets.spreads) targets.add_part(target, row, x, 0, n, state.maximum, spread);
        return loss_of(target, row, state, spread, gradient);
    }

    // Longer rows, by the same borders as the activations: their states are the same.
    void long_rows(Part<T> part) {
        State states[group_rows], segment[group_rows];
        RowGradient gradients[group_rows];
        Spread spreads[group_rows];
        long classes = task.rows.classes, length = segment_length(classes), segments = recalls() ? 0 : segment_count(classes);
        Largest<T> none = {};
        if (recalls())
            for (int r = 0; r < part.rows; r++) states[r] = recalled(part.first_row + r, none);
        for (long s = 0; s < segments; s++) {
            State* to = s ? segment : states;
            engine.reduce(part, s * length, (s + 1) * length < classes ? (s + 1) * length : classes, to);
            for (int r = 0; r < part.rows && s; r++) merge(engine.scale, task.rows.function, states[r], segment[r]);
        }
        for (int r = 0; r < part.rows; r++) remember(part.first_row + r, states[r], none.second);
        take_logarithms(states, part.rows);
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
        if (task.rows.classes > short_loss || task.focal != 0) return false;
        short_losses(*this, part);
        return true;
    }
    bool short_lanes(const Part<double>&) { return false; }

    void group(Part<T> part) {
        part.length = task.rows.classes;
        if (short_lanes(part)) return;
        part.in_columns() ? rows(part) : engine.few_together(part, rows_together(task.rows.classes), [&](const Part<T>& few) { rows(few); });
    }
    void rows(const Part<T>& part) { task.rows.classes <= chunk ? chunk_rows(part) : long_rows(part); }
};

}  // namespace
