// softmax, log_softmax and logsumexp of groups of rows: short ones, rows that stay in the cache, and rows of many
// chunks.
#pragma once

#include "cancellation.h"
#include "columns.h"
#include "lone_rows.h"
#include "panels.h"
#include "read_and_write.h"
#include "short_pairs.h"
#include "softmax_rows.h"

namespace {

// So many elements of several rows are worked on at once: they, the next ones and the output stay in the first level of
// the cache. Where nothing is written for each element, the second level will do, and more chains overlap.
constexpr Index most_together = 2048, most_read_together = 8192;
inline Index rows_together(Index classes, Index elements = most_together) {
    const Index fitting = elements / classes;
    return fitting < 1 ? 1 : fitting < group_rows ? fitting : group_rows;
}

// T is the type of the computation, S the type in memory where rows need no packing.
template <class T, class S = T> struct ActivationEngine {
    const Task& task;
    Scale<T> scale;
    Exponential<T> exponential;
    Staging staging;
    explicit ActivationEngine(const Task& t) : task(t), scale(t.temperature), exponential(scale) {}

    auto merging() const {
        return [this](RowState& into, const RowState& part) { merge(scale, task.function, into, part); };
    }
    // The states of a chunk of some rows: fn(row, state).
    template <class Later, class Fn> void each_state(const S* const* in, const Part<T, S>& part, Later later, Fn fn) {
        for (int r = 0; r < part.rows; r++)
            fn(r, task.function == Function::softmax
                      ? sum_with_maximum<T>(in[r], part.length, scale, exponential, later)
                      : sum_of_others<T>(in[r], part.length, scale, exponential, later));
    }
    // One more chunk of rows that are read in order.
    template <class Later>
    void read_rows(const S* const* in, const Part<T, S>& part, RowState* rows, RowState* segment, Later later) {
        each_state(in, part, later, [&](int r, const RowState& state) {
            join_chunk(task.classes, part.start, part.length, rows[r], segment[r], state, merging());
        });
    }
    template <class Later> void read(const Part<T, S>& part, RowState* rows, RowState* segment, Later later) {
        const S* in[group_rows];
        part.fetch(in);
        read_rows(in, part, rows, segment, later);
    }
    void write_rows(const S* const* in, S* const* out, const Part<T, S>& part, const RowState* states,
                    const char* later = nullptr) {
        for (int r = 0; r < part.rows; r++)
            apply_part(task, part.streams(), scale, exponential, states[r], in[r], out[r], part.length, later);
    }
    void write(const Part<T, S>& part, const RowState* states, const char* later = nullptr) {
        const S* in[group_rows];
        S* out[group_rows];
        part.fetch(in);
        part.targets(out);
        write_rows(in, out, part, states, later);
        part.commit(out, masked_value<T>(task));
    }

    // The steps of a segment whose rows are shared by threads.
    static RowState* states(void* memory) { return static_cast<RowState*>(memory); }
    static const RowState* states(const void* memory) { return static_cast<const RowState*>(memory); }
    void reduce(const Part<T, S>& part, Segment segment, RowState* states) {
        part.each_chunk(segment, [&](const Part<T, S>& here) {
            const S* in[group_rows];
            here.fetch(in);
            each_state(in, here, Nowhere(), [&](int r, const RowState& state) {
                join_in_order(here.start == segment.from, states[r], state, merging());
            });
        });
    }
    void join(const Part<T, S>& part, Index segments, RowState* states) {
        join_segments(states, part.rows, segments, merging());
        finish(part, 0, part.rows, states);
    }
    void apply(const Part<T, S>& part, Segment segment, const RowState* states) {
        part.each_chunk(segment, [&](const Part<T, S>& here) { write(here, states); });
    }

    // What is left to do for some rows once they are summed up.
    void finish(const Part<T, S>& part, int from, int to, RowState* states) {
        for (int r = from; r < to; r++) merge_sink(task, scale, part.first_row + r, states[r]);
        if (task.function == Function::softmax) return;
        take_logarithms(states + from, to - from);
        if (task.function != Function::logsumexp) return;
        for (int r = from; r < to; r++)
            write_result(task, part.first_row + r,
                         log_sum<T>(task, part.first_row + r, states[r].maximum, states[r].log_total));
    }

    void group(Part<T, S> part) {
        part.length = task.classes;
        if (short_lanes(part)) return;
        if (task.classes > chunk) return long_rows(part);
        if (part.in_columns()) return rows(part);
        // Rows that are packed are few at once: they stay in the first level of the cache.
        few_together(part, part.is_packed() ? rows_together(task.classes) : group_rows,
                     [&](const Part<T, S>& few) { rows(few); });
    }
    template <class Fn> static void few_together(Part<T, S> part, Index together, Fn fn) {
        const Index end = part.first_row + part.rows;
        for (; part.first_row < end; part.first_row += part.rows) {
            part.rows = static_cast<int>(end - part.first_row < together ? end - part.first_row : together);
            fn(part);
        }
    }
    void rows(const Part<T, S>& part) {
        task.function == Function::softmax ? softmax_rows(part) : logarithm_rows(part);
    }
    void softmax_rows(const Part<T, S>& part) {
        const S* in[group_rows];
        S* out[group_rows];
        part.fetch(in);
        part.targets(out);
        const bool keeps = !task.sink.data && task.classes <= kept_row<T>;
        if (keeps) softmax_rows_kept<T, S, S>(task, part.streams(), scale, exponential, in, out, part.rows);
        for (int r = 0; !keeps && r < part.rows; r++) {
            RowState state = sum_with_maximum<T>(in[r], task.classes, scale, exponential);
            merge_sink(task, scale, part.first_row + r, state);
            apply_part(task, part.streams(), scale, exponential, state, in[r], out[r], task.classes);
        }
        part.commit(out, masked_value<T>(task));
    }
    void logarithm_rows(const Part<T, S>& part) {
        const S* in[group_rows];
        S* out[group_rows];
        Largest<T> largest[group_rows];
        RowState states[group_rows];
        const bool elementwise = task.function != Function::logsumexp;
        part.fetch(in);
        if (elementwise) part.targets(out);
        const int few = static_cast<int>(rows_together(task.classes, elementwise ? most_together : most_read_together));
        LargestSearch<T, S> search[group_rows];
        const auto look = [&](int from, int to) {
            for (int r = from; r < to; r++) search[r].first_pass(in[r], task.classes);
        };
        const auto look_again = [&](int from, int to) {
            for (int r = from; r < to; r++) largest[r] = search[r].second_pass();
        };
        int from = 0, to = part.rows < few ? part.rows : few;
        look(from, to);
        look_again(from, to);
        // The chains of few rows overlap, and wait behind the next rows: those to the totals behind half of the first
        // passes, those to the logarithms behind the rest.
        while (from < to) {
            const Index next = few * task.classes;
            for (int r = from; r < to; r++) {
                S* const target = elementwise && !part.streams() ? out[r] : nullptr;
                states[r] = sum_of_others<T>(in[r], task.classes, largest[r], scale, exponential, Nowhere(), next,
                                             [=](auto, auto, Index i, int) __attribute__((always_inline)) {
                                                 if (target) prefetch_to_write(target + i);
                                             });
            }
            const int until = part.rows - to < few ? part.rows : to + few, half = to + (until - to + 1) / 2;
            look(to, half);
            finish(part, from, to, states);
            look(half, until);
            look_again(to, until);
            for (int r = from; r < to && elementwise; r++)
                apply_part(task, part.streams(), scale, exponential, states[r], in[r], out[r], task.classes);
            from = to;
            to = until;
        }
        if (elementwise) part.commit(out, masked_value<T>(task));
    }
    bool is_short() const { return task.classes <= traits_of(task.function).short_row && !task.sink.data; }
    bool short_lanes(const Part<float>& part) {
        if (!is_short()) return false;
        if (go_alone(part.rows, task.classes)) {
            task.function == Function::softmax ? lone_softmaxes(scale, exponential, part)
                                               : lone_logarithms(task, scale, exponential, part);
        } else if (task.function == Function::softmax) {
            const Part<float> parts[1] = {part};
            short_softmax_groups(task, scale, exponential, parts, staging);
        } else {
            short_log_group(task, scale, exponential, part, staging);
        }
        return true;
    }
    template <class P> bool short_lanes(const P&) { return false; }
    // Groups that go several at a time. Returns the first that is not done.
    Index several(Index first, Index last, void* scratch) {
        if constexpr (sizeof(T) == 4 && sizeof(S) == 4)
            if (is_short() && task.classes <= paired_row && task.function == Function::softmax)
                return short_softmax_pairs(task, scale, exponential, first, last, scratch, staging);
        if constexpr (sizeof(T) == sizeof(S)) {
            first = columns<T>(task, first, last, scratch, *this);
            return panels<T>(task, first, last, scratch, *this);
        }
        return first;
    }
    void flush() { staging.flush(); }

    struct LongRows {
        ActivationEngine& engine;
        RowState sums[group_rows], segment[group_rows], done[group_rows];
        explicit LongRows(ActivationEngine& e) : engine(e) {}
        void read(const Part<T, S>& part, const char* later) { engine.read(part, sums, segment, later); }
        void finish(const Part<T, S>& part) {
            engine.finish(part, 0, part.rows, sums);
            memcpy(done, sums, sizeof sums);
        }
        void write(const Part<T, S>& part, const char* later) { engine.write(part, done, later); }
    };
    void long_rows(const Part<T, S>& part) {
        LongRows steps(*this);
        read_and_write(part, task.function != Function::logsumexp, steps);
    }
};

}  // namespace
