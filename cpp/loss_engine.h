// Cross-entropy of rows: a first sweep for the state and the loss, and a second for the gradient.
#pragma once

#include "activation_engine.h"
#include "gradient_entries.h"
#include "short_losses.h"

namespace {

template <class T> struct LossEngine {
    const LossTask& task;
    ActivationEngine<T> engine;
    Targets targets;
    explicit LossEngine(const LossTask& t) : task(t), engine(t.rows), targets(t) {}

    bool with_gradient() const { return task.rows.output.data != nullptr; }
    // What goes to the buffer is read again at once.
    bool streams() const { return task.rows.stream && Part<T>::direct(task.rows.output, task.rows.inner); }

    double loss_of(const RowTarget& target, Index row, const RowState& state, const Spread& spread,
                   RowGradient& gradient) {
        if (is_finite(state.maximum))
            return row_loss(task, engine.scale, targets, target, row, state, spread, gradient);
        const bool hidden = task.rows.where.data && state.maximum < 0 && targets.unmasked(row) == 0;
        return hidden ? 0 : not_a_number<double>;
    }
    // The gradient but for the label's entry, from the exponentials relative to the maximum.
    void write_computed(const RowState& state, const RowGradient& gradient, const Coefficient& coefficient, const T* x,
                        T* out, Index n) {
        if (sizeof(T) == 4 && !(magnitude(gradient.per_probability) < most_factor)) {
            const double top = 1 / (1 + state.total);
            for (Index i = 0; i < n; i++)
                out[i] = static_cast<T>(gradient.per_probability *
                                        (ratio(engine.scale, first_of(x + i), state.maximum, 0).high * top));
            return;
        }
        const Reference to = reference(engine.scale, static_cast<T>(state.maximum));
        engine.exponential.relative_to(engine.scale, to);
        const double unit =
            Lanes<T>::bias * ratio(engine.scale, state.maximum, to.offset, -to.power).high * (1 + state.total);
        write_entries(task, {gradient.per_probability, unit, false, streams(), 0}, coefficient, x,
                      ComputedExponentials<T>{engine.exponential}, out, n);
    }
    // The gradient of a part of a row; `placed` tells whether the label's entry has been written.
    void write_part(const RowTarget& target, Index row, const RowState& state, const RowGradient& gradient, const T* x,
                    T* out, Index start, Index n, bool& placed) {
        if (!is_finite(state.maximum)) return fill(out, n, not_a_number<T>);
        const double* u = targets.part(target, row, start, n, nullptr);
        const Coefficient coefficient = {targets.spreads, target.factor, u};
        const Index at = target.label != no_label ? target.label - start
                         : placed                 ? n
                                                  : find(x, n, static_cast<T>(state.maximum));
        write_computed(state, gradient, coefficient, x, out, n);
        if (at < 0 || at >= n) return;
        out[at] = static_cast<T>(gradient.at_label(task.scale, coefficient.at(at)));
        placed = true;
    }

    // The sums of a row that a sweep without gradient found are there for the one that writes it.
    double* sums() const { return task.rows.classes > short_loss ? task.sums : nullptr; }
    bool recalls() const { return sums() && with_gradient(); }
    void remember(Index row, const RowState& state, T second) const {
        if (!sums() || with_gradient()) return;
        const double numbers[sums_kept] = {state.maximum, static_cast<double>(second), state.total, state.total_low,
                                           static_cast<double>(state.all_normal)};
        memcpy(task.sums + row * sums_kept, numbers, sizeof numbers);
    }
    RowState recalled(Index row, Largest<T>& largest) const {
        const double* numbers = task.sums + row * sums_kept;
        RowState state = empty_state;
        state.maximum = numbers[0];
        state.total = numbers[2];
        state.total_low = numbers[3];
        state.all_normal = numbers[4] != 0;
        largest = {static_cast<T>(numbers[0]), static_cast<T>(numbers[1]), 0, 0, 0};
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
        RowState states[group_rows];
        const Index next = part.rows * part.length;
        for (int r = 0; r < part.rows && !recalls(); r++) largest[r] = two_largest<T>(in[r], part.length);
        if (!with_gradient()) {
            for (int r = 0; r < part.rows; r++) {
                const Index row = part.first_row + r;
                states[r] = targets.counts(row) ? sum_of_row(row, largest[r], in[r], part.length, next) : empty_state;
            }
            take_logarithms(states, part.rows);
        }
        for (int r = 0; r < part.rows; r++) {
            const Index row = part.first_row + r;
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
    RowState sum_of_row(Index row, const Largest<T>& largest, const T* x, Index n, Index next) {
        const RowState state = sum_of_others<T>(x, n, largest, engine.scale, engine.exponential, Nowhere(), next);
        remember(row, state, largest.second);
        return state;
    }
    static bool is_regular(const Largest<T>& largest) {
        return is_finite(largest.first) && largest.second != largest.first && largest.second != -infinity<T>;
    }
    void loss_of_row(Index row, const Largest<T>& largest, const T* x, Index n) {
        RowState state = sum_of_row(row, largest, x, n, 0);
        take_logarithms(&state, 1);
        RowGradient gradient;
        task.loss[row] = loss_of_whole(targets.of(row), row, state, x, n, gradient);
    }
    // The loss too.
    void gradient_of_row(Index row, Largest<T> largest, const T* x, T* out, Index n, Index next) {
        using Vector = typename Lanes<T>::Vector;
        alignas(64) T values[kept_row<T> + Lanes<T>::width], excesses[kept_row<T> + Lanes<T>::width];
        const bool keeps = n <= kept_row<T> && !recalls() && is_regular(largest);
        RowState state;
        if (recalls()) {
            state = recalled(row, largest);
        } else if (keeps) {
            state = sum_of_others<T>(x, n, largest, engine.scale, engine.exponential, Nowhere(), next,
                                     [&](Vector value, Vector excess, Index i, int) __attribute__((always_inline)) {
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
        if (n > kept_row<T> || !is_regular(largest) || !is_finite(state.maximum) ||
            !(magnitude(gradient.per_probability) < most_factor))
            return write_part(target, row, state, gradient, x, out, 0, n, placed);
        const Reference to = reference(engine.scale, largest.second);
        const double shift = ratio(engine.scale, to.offset, largest.first, to.power).high;
        if (shift < least_shift) return write_part(target, row, state, gradient, x, out, 0, n, placed);
        // The exponentials of the sum leave the maximum out, which is put in its place.
        const Index top = first_equal(x, n, largest.first), at = target.label != no_label ? target.label : top;
        const Coefficient coefficient = {targets.spreads, target.factor, targets.part(target, row, 0, n, nullptr)};
        EntryOptions by = {gradient.per_probability * shift, Lanes<T>::bias * (1 + state.total), false, streams(),
                           next};
        by.all_normal = state.all_normal && magnitude(by.factor) * Lanes<T>::bias > least_factor * by.unit;
        if (keeps) {
            write_entries(task, by, coefficient, values, KeptExponentials<T>{excesses}, out, n);
        } else {
            engine.exponential.relative_to(engine.scale, to);
            write_entries(task, by, coefficient, x, ComputedExponentials<T>{engine.exponential}, out, n);
        }
        out[top] = static_cast<T>(gradient.top - task.scale * coefficient.at(top).high);
        out[at] = static_cast<T>(gradient.at_label(task.scale, coefficient.at(at)));
    }
    double loss_of_whole(const RowTarget& target, Index row, const RowState& state, const T* x, Index n,
                         RowGradient& gradient) {
        Spread spread = targets.empty_spread(target);
        if (targets.spreads) targets.add_part(target, row, x, 0, n, state.maximum, spread);
        return loss_of(target, row, state, spread, gradient);
    }

    // Longer rows, by the same borders and in the same order as the activations: their states are the same.
    struct LongRows {
        LossEngine& loss;
        RowState sums[group_rows], segment[group_rows], done[group_rows];
        RowGradient gradients[group_rows];
        bool placed[group_rows];
        explicit LongRows(LossEngine& l) : loss(l) {}

        void read(const Part<T>& part, const char*) {
            if (!loss.recalls()) loss.engine.read(part, sums, segment, Nowhere());
        }
        void finish(const Part<T>& part) {
            Largest<T> none = {};
            for (int r = 0; r < part.rows; r++) {
                if (loss.recalls()) sums[r] = loss.recalled(part.first_row + r, none);
                else loss.remember(part.first_row + r, sums[r], none.second);
            }
            take_logarithms(sums, part.rows);
            loss.losses_of(part, sums, gradients);
            memcpy(done, sums, sizeof sums);
            for (bool& one : placed) one = false;
        }
        void write(const Part<T>& part, const char*) {
            const T* in[group_rows];
            T* out[group_rows];
            part.fetch(in);
            part.targets(out);
            for (int r = 0; r < part.rows; r++) {
                const Index row = part.first_row + r;
                if (loss.targets.counts(row))
                    loss.write_part(loss.targets.of(row), row, done[r], gradients[r], in[r], out[r], part.start,
                                    part.length, placed[r]);
                else fill(out[r], part.length, static_cast<T>(0));
            }
            part.commit(out, static_cast<T>(0));
        }
    };
    void long_rows(const Part<T>& part) {
        LongRows steps(*this);
        read_and_write(part, with_gradient(), steps);
    }
    void losses_of(const Part<T>& part, const RowState* states, RowGradient* gradients) {
        Spread spreads[group_rows];
        for (int r = 0; r < part.rows; r++)
            if (targets.counts(part.first_row + r)) spreads[r] = targets.empty_spread(targets.of(part.first_row + r));
        if (targets.spreads) add_spreads(part, states, spreads);
        for (int r = 0; r < part.rows; r++) {
            const Index row = part.first_row + r;
            task.loss[row] =
                targets.counts(row) ? loss_of(targets.of(row), row, states[r], spreads[r], gradients[r]) : 0;
        }
    }
    void add_spreads(const Part<T>& whole, const RowState* states, Spread* spreads) {
        whole.each_chunk({0, task.rows.classes}, [&](const Part<T>& part) {
            const T* in[group_rows];
            part.fetch(in);
            for (int r = 0; r < part.rows; r++) {
                const Index row = part.first_row + r;
                if (targets.counts(row))
                    targets.add_part(targets.of(row), row, in[r], part.start, part.length, states[r].maximum,
                                     spreads[r]);
            }
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
        if (task.rows.classes > chunk) return long_rows(part);
        if (part.in_columns()) return chunk_rows(part);
        engine.few_together(part, rows_together(task.rows.classes), [&](const Part<T>& few) { chunk_rows(few); });
    }
};

}  // namespace
