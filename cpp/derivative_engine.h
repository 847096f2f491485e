// Derivatives of softmax and log_softmax from the values x that these gave, and from tangents t:
//
//   softmax_jvp                     x (t - S)       S = sum of x t, taken as c + sum of x (t - c) with c the t of the
//   log_softmax_jvp                 t - S           confident class, or of some class if no class is confident
//   log_softmax_vjp                 t - x G         G = sum of t; of the confident class: t (sum of the other x)
//                                                   - x (sum of the other t)
//   log_softmax_vjp_of_logarithms   t - exp(x) G    of the confident class: -expm1(x) t - exp(x) (sum of the other t)
//
// A confident class (its probability is above 1/2) so keeps the digits of what 1 - p has lost, and a constant
// tangent gives exactly 0. Sums are taken in double (of double: in two parts), and reach the results in two parts of
// the lane type.
#pragma once

#include "activation_engine.h"
#include "derivative_lanes.h"

namespace {

template <class T, class S = T> struct DerivativeEngine {
    const Task& task;
    LogarithmVjp<T> logarithm_vjp;
    Staging staging;

    explicit DerivativeEngine(const Task& t) : task(t) {}

    struct Operands {
        Part<T, S> first, second;  // values and tangents
        const S *x[group_rows], *t[group_rows];
        bool in_columns() const { return first.in_columns() || second.by_columns(second.input); }
        void select(Index row, int rows, Index start, Index length) {
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
                first.each_masked(r, [&](Index k) {
                    first.row_buffer(r)[k] = masked;
                    second.row_buffer(r)[k] = 0;
                });
        }
    };
    Operands operands(Index group, void* scratch) {
        T* buffer = static_cast<T*>(scratch);
        Part<T, S> first = part_of<T, S>(task, group, buffer);
        if (buffer) buffer += group_rows * buffer_row;
        return {first, part_of<T, S>(task, task.tangent, group, buffer), {}, {}};
    }
    T masked() const {
        return task.function == Function::log_softmax_vjp_of_logarithms ? -infinity<T> : static_cast<T>(0);
    }

    DerivativeState sums(const S* x, const S* t, Index n, Index next) const {
        if (traits_of(task.function).is_vjp) return sum_vjp<T>(task.function, x, t, n, next);
        return task.classes <= chunk ? sum_jvp<true, T>(x, t, n, next) : sum_jvp<false, T>(x, t, n, next);
    }
    void write(const Operands& here, int r, const DerivativeState& state, S* out) const {
        const DerivativeRow<T> row(task.function, state);
        row.write(logarithm_vjp, here.x[r], here.t[r], out, here.first.length, here.first.streams(),
                  here.first.rows * here.first.length);
        const Index at = state.place - here.first.start;
        if (row.has_top && at >= 0 && at < here.first.length) store_partial(out + at, broadcast(row.at_top), 1);
    }
    // Few rows at a time, so that they are still near when they are written; all together where they are columns.
    template <class Fn> void each_rows(Operands& here, Fn fn) {
        Index row = here.first.first_row, end = row + here.first.rows;
        const Index step = here.in_columns() ? here.first.rows : rows_together(2 * task.classes);
        for (; row < end; row += step) {
            here.first.first_row = here.second.first_row = row;
            here.first.rows = here.second.rows = static_cast<int>(end - row < step ? end - row : step);
            fn();
        }
    }
    template <class Fn> void each_chunk(Operands& here, Segment segment, Fn fn) {
        ::each_chunk(segment, [&](Index start, Index length) {
            here.select(here.first.first_row, here.first.rows, start, length);
            here.fetch(masked());
            fn(here);
        });
    }

    auto joining() const {
        return
            [this](DerivativeState& into, const DerivativeState& part) { join_derivative(task.function, into, part); };
    }
    // The states of a chunk of some rows: fn(row, state).
    template <class Fn> void each_state(const Operands& here, Fn fn) const {
        for (int r = 0; r < here.first.rows; r++) {
            DerivativeState state = sums(here.x[r], here.t[r], here.first.length, here.first.rows * here.first.length);
            state.place += here.first.start;
            fn(r, state);
        }
    }
    void write(const Operands& here, const DerivativeState* states) {
        S* out[group_rows];
        here.first.targets(out);
        for (int r = 0; r < here.first.rows; r++) write(here, r, states[r], out[r]);
        here.first.commit(out, static_cast<T>(0));
    }

    // The steps of a segment whose rows are shared by threads.
    static DerivativeState* states(void* memory) { return static_cast<DerivativeState*>(memory); }
    static const DerivativeState* states(const void* memory) { return static_cast<const DerivativeState*>(memory); }
    void reduce(Operands operands, Segment segment, DerivativeState* states) {
        each_chunk(operands, segment, [&](const Operands& here) {
            each_state(here, [&](int r, const DerivativeState& state) {
                join_in_order(here.first.start == segment.from, states[r], state, joining());
            });
        });
    }
    void join(const Operands& here, Index segments, DerivativeState* states) {
        join_segments(states, here.first.rows, segments, joining());
    }
    void apply(Operands operands, Segment segment, const DerivativeState* states) {
        each_chunk(operands, segment, [&](const Operands& here) { write(here, states); });
    }

    void group(Operands operands) {
        if (short_lanes(operands)) return;
        DerivativeState states[group_rows], segment[group_rows];
        const Segment whole = {0, task.classes};
        each_rows(operands, [&] {
            each_chunk(operands, whole, [&](const Operands& here) {
                each_state(here, [&](int r, const DerivativeState& state) {
                    join_chunk(task.classes, here.first.start, here.first.length, states[r], segment[r], state,
                               joining());
                });
            });
            apply(operands, whole, states);
        });
    }
    bool short_lanes(Operands& here) {
        if constexpr (sizeof(S) == sizeof(float)) {
            if (task.classes > short_derivative) return false;
            here.select(here.first.first_row, here.first.rows, 0, task.classes);
            derivative_lanes(here.first, here.second, masked(), logarithm_vjp, staging);
            return true;
        }
        return false;
    }
    Index several(Index first, Index, void*) { return first; }
    void flush() { staging.flush(); }
};

}  // namespace
