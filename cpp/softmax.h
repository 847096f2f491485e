// softmax, log_softmax and logsumexp: rows that stay in the cache, rows of many chunks, and what is written.
#pragma once

#include "row_state.h"

namespace {

template <class T, class S, class D>
inline void apply_part(const Task& task, const Scale<T>& scale, Exponential<T>& exponential, const State& state, const S* x, D* out,
                       long n, const char* later = nullptr, long next = 0) {
    using Vector = typename Lanes<T>::Vector;
    if (!is_finite(state.maximum)) return fill(out, n, not_a_number<T>);
    if (task.function == Function::softmax) {
        exponential.relative_to(scale, {state.offset, state.power});
        with_constant(is_plain(scale, state), [&](auto plain) __attribute__((always_inline)) {
            constexpr bool is_plain = decltype(plain)::value;
            Exponential<T> local = exponential;
            if (is_plain) {
                T unit, rest;
                inverse(total_of(state), Lanes<T>::bias, unit, rest);
                local.set_unit(unit, rest);
            }
            const Share<T, is_plain> share = share_of<T, is_plain>(state);
            map<T>(x, out, n, task.stream, later, next, [=](auto& v, long) __attribute__((always_inline)) {
                constexpr int count = sizeof(v) / sizeof(v[0]);
                Vector value[count], excess[count];
                local.template parts<is_plain>(v, value, excess);
                for (int k = 0; k < count; k++)
                    v[k] = is_plain ? fma(value[k], excess[k], value[k]) : share.of(value[k], excess[k]);
            });
        });
    } else {
        const Total log_total = {state.log_total, state.log_total_low};
        const Total slope = reciprocal(task.temperature);
        const double maximum = state.maximum, shift = maximum + log_total.high;
        if constexpr (sizeof(T) == 4) {
            // No result is nearer to zero than the logarithm: where that is not tiny, one shift in two parts is enough.
            if (task.temperature == 1 && log_total.high * 0x1p22 > magnitude(shift)) {
                const T rounded = static_cast<T>(shift);
                const Vector high = broadcast(rounded), low = broadcast(static_cast<T>(shift - rounded));
                const bool within = state.maximum <= magnitude(rounded) && state.minimum >= -magnitude(rounded);
                return with_constant(within, [&](auto within) __attribute__((always_inline)) {
                    map<T>(x, out, n, task.stream, later, next, [=](auto& v, long) __attribute__((always_inline)) {
                        for (auto& one : v) one = shifted<decltype(within)::value>(one, high, low);
                    });
                });
            }
        }
        map<T>(x, out, n, task.stream, later, next, [=](auto& v, long) __attribute__((always_inline)) {
            for (auto& one : v) one = shifted_log(one, maximum, slope, log_total);
        });
    }
}

template <class T> inline T masked_value(const Task& task) {
    return task.function == Function::log_softmax ? -infinity<T> : static_cast<T>(0);
}

// The parts of the exponentials are kept between the two passes for rows up to this length.
template <class T> constexpr long kept_row = 16384 / sizeof(T);

// Rows that fit the first level of the cache, two by two, with all that belongs to them. What is done once a row is a long
// chain of dependent operations: it waits behind work on other rows. The values wait in the output itself, or beside the
// excesses where it has another type or is streamed; both begin as far from a cache line's border as the output does.
template <class T, class S, class D>
inline void softmax_rows_kept(const Task& task, const Scale<T>& scale, Exponential<T>& exponential, const S* const* in,
                              D* const* out, int rows) {
    using Vector = typename Lanes<T>::Vector;
    constexpr int width = Lanes<T>::width, pair = 2;
    constexpr long space = kept_row<T> + 2 * width;
    constexpr bool fits = sizeof(D) == sizeof(T);
    const long n = task.classes;
    alignas(64) T values[pair * space], excesses[pair * space];
    Extremes<T> extreme[pair];
    for (int r = 0; r < pair && r < rows; r++) extreme[r] = extremes<T>(in[r], n);
    for (; rows > 0; rows -= pair, in += pair, out += pair) {
        const int here = rows < pair ? rows : pair;
        T *value_at[pair], *excess_at[pair], high[pair], low[pair];
        State states[pair];
        typename WideOf<T>::type wide[pair];
        for (int r = 0; r < here; r++) {
            const long from = r * space + static_cast<long>((reinterpret_cast<uintptr_t>(out[r]) & 63) / sizeof(D) % width);
            T *value_to = values + from, *excess_to = excesses + from;
            if constexpr (fits)
                if (!task.stream) value_to = out[r];
            const auto keep = [=](Vector value, Vector excess, long i, int count) __attribute__((always_inline)) {
                count < width ? store_partial(value_to + i, value, count) : store(value_to + i, value);
                store(excess_to + i, excess);
            };
            states[r] = sum_with_extremes<T>(in[r], n, extreme[r], scale, exponential, wide[r], keep, nullptr, pair * n);
            value_at[r] = value_to;
            excess_at[r] = excess_to;
        }
        for (int r = 0; r < here; r++) {
            states[r] = with_total(states[r], wide[r].total());
            inverse(total_of(states[r]), is_plain(scale, states[r]) ? 1 : Lanes<T>::lift, high[r], low[r]);
        }
        for (int r = 0; r < pair && r < rows - pair; r++) extreme[r] = extremes<T>(in[pair + r], n);
        for (int r = 0; r < here; r++) {
            if (!is_finite(states[r].maximum)) {
                fill(out[r], n, not_a_number<T>);
                continue;
            }
            const T *value_from = value_at[r], *excess_from = excess_at[r];
            with_constant(is_plain(scale, states[r]), [&](auto plain) __attribute__((always_inline)) {
                const Share<T, decltype(plain)::value> share = {broadcast(high[r]), broadcast(low[r])};
                const long next = fits ? 0 : pair * n;
                map<T>(value_from, out[r], n, task.stream, nullptr, next, [=](auto& v, long i) __attribute__((always_inline)) {
                    for (auto& one : v) {
                        one = share.of(one, load(excess_from + i));
                        i += width;
                    }
                });
            });
        }
    }
}

#include "short_rows.h"
#include "careful.h"

template <class T, class S> inline void reduce_part(const Task& task, const Scale<T>& scale, Exponential<T>& exponential,
                                                    const Part<T, S>& part, State* states, const char* later = nullptr) {
    const S* in[group_rows];
    part.fetch(in);
    for (int r = 0; r < part.rows; r++) {
        State state = task.function == Function::softmax
            ? sum_with_maximum<T>(in[r], part.length, scale, exponential, later)
            : sum_of_others<T>(in[r], part.length, scale, exponential, later);
        merge(scale, task.function, states[r], state);
    }
}
template <class T, class S> inline void apply_rows(const Task& task, const Scale<T>& scale, Exponential<T>& exponential,
                                                   const Part<T, S>& part, const State* states, const char* later = nullptr) {
    const S* in[group_rows];
    S* out[group_rows];
    part.fetch(in);
    part.targets(out);
    for (int r = 0; r < part.rows; r++) apply_part(task, scale, exponential, states[r], in[r], out[r], part.length, later);
    part.commit(out, masked_value<T>(task));
}

// So many elements of several rows are worked on at once: they stay in the first level of the cache.
constexpr long most_together = 4096;
inline long rows_together(long classes) {
    const long fitting = most_together / classes;
    return fitting < 1 ? 1 : fitting < group_rows ? fitting : group_rows;
}

// T is what is computed in, S what lies in memory where rows need no packing.
template <class T, class S = T> struct Engine {
    const Task& task;
    Scale<T> scale;
    Exponential<T> exponential;
    Staging staging;
    explicit Engine(const Task& t) : task(t), scale(t.temperature), exponential(scale) {}

    void reduce(Part<T, S> part, long from, long to, State* states) {
        for (int r = 0; r < part.rows; r++) states[r] = empty_state;
        for (part.start = from; part.start < to; part.start += chunk) {
            part.length = to - part.start < chunk ? to - part.start : chunk;
            reduce_part(task, scale, exponential, part, states);
        }
    }
    void apply(Part<T, S> part, long from, long to, const State* states) {
        for (part.start = from; part.start < to; part.start += chunk) {
            part.length = to - part.start < chunk ? to - part.start : chunk;
            apply_rows(task, scale, exponential, part, states);
        }
    }
    void finish(const Part<T, S>& part, int from, int to, State* states) {
        for (int r = from; r < to; r++) merge_sink(task, scale, part.first_row + r, states[r]);
        if (task.function == Function::softmax) return;
        take_logarithms(states + from, to - from);
        if (task.function != Function::logsumexp) return;
        for (int r = from; r < to; r++)
            write_result(task, part.first_row + r, log_sum<T>(task, part, r, states[r], states[r].log_total));
    }
    void finish(const Part<T, S>& part, State* states) { finish(part, 0, part.rows, states); }
    // Segments of a group, joined in order into the first.
    void join(const Part<T, S>& part, long segments, State* states) {
        for (long s = 1; s < segments; s++)
            for (int r = 0; r < part.rows; r++) merge(scale, task.function, states[r], states[s * group_rows + r]);
    }

    void group(Part<T, S> part) {
        part.length = task.classes;
        if (short_lanes(part)) return;
        if (task.classes > chunk) return long_rows(part);
        if (part.in_columns()) return rows(part);
        // Rows that are packed are few at once: they stay in the first level of the cache.
        few_together(part, part.is_packed() ? rows_together(task.classes) : group_rows, [&](const Part<T, S>& few) { rows(few); });
    }
    template <class Fn> static void few_together(Part<T, S> part, long together, Fn fn) {
        const long end = part.first_row + part.rows;
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
        if (keeps) softmax_rows_kept<T, S, S>(task, scale, exponential, in, out, part.rows);
        for (int r = 0; !keeps && r < part.rows; r++) {
            State state = empty_state;
            merge(scale, task.function, state, sum_with_maximum<T>(in[r], task.classes, scale, exponential));
            merge_sink(task, scale, part.first_row + r, state);
            apply_part(task, scale, exponential, state, in[r], out[r], task.classes);
        }
        part.commit(out, masked_value<T>(task));
    }
    void logarithm_rows(const Part<T, S>& part) {
        const S* in[group_rows];
        S* out[group_rows];
        Largest<T> largest[group_rows];
        State states[group_rows];
        const bool elementwise = task.function != Function::logsumexp;
        part.fetch(in);
        if (elementwise) part.targets(out);
        const int few = static_cast<int>(rows_together(task.classes));
        const auto look = [&](int from, int to) {
            for (int r = from; r < to && r < part.rows; r++) largest[r] = two_largest<T>(in[r], task.classes);
        };
        look(0, few);
        // The chains of few rows overlap, and wait behind the next rows.
        for (int from = 0; from < part.rows; from += few) {
            const int to = part.rows - from < few ? part.rows : from + few;
            const long next = few * task.classes;
            for (int r = from; r < to; r++)
                states[r] = sum_of_others<T>(in[r], task.classes, largest[r], scale, exponential, nullptr, next);
            finish(part, from, to, states);
            look(to, to + few);
            for (int r = from; r < to && elementwise; r++)
                apply_part(task, scale, exponential, states[r], in[r], out[r], task.classes, nullptr, next);
        }
        if (elementwise) part.commit(out, masked_value<T>(task));
    }
    bool is_short() const { return task.classes <= short_row(task.function) && !task.sink.data; }
    bool short_lanes(const Part<float>& part) {
        if (!is_short()) return false;
        if (task.function == Function::softmax) {
            const Part<float> parts[1] = {part};
            short_softmax_groups(task, scale, exponential, parts, staging);
        } else {
            short_log_group(task, scale, exponential, part, staging);
        }
        return true;
    }
    template <class P> bool short_lanes(const P&) { return false; }
    bool in_pairs() const { return is_short() && task.classes <= paired_row && task.function == Function::softmax; }
    // Returns the first group that is not done.
    long pairs(long first, long last) {
        if constexpr (sizeof(T) == 4 && sizeof(S) == 4)
            if (in_pairs()) return plain_pairs(task, scale, exponential, first, last, staging);
        return first;
    }
    // Two groups at once, if that helps.
    bool pair(Part<float> first, Part<float> second) {
        if (!in_pairs()) return false;
        first.length = second.length = task.classes;
        const Part<float> parts[2] = {first, second};
        short_softmax_groups(task, scale, exponential, parts, staging);
        return true;
    }
    template <class P> bool pair(const P&, const P&) { return false; }
    void flush() { staging.flush(); }

    // Rows of several chunks. While one is read, the one before it, which is still in the second level of the cache, is
    // written: chunk by chunk, so that memory is as busy at any time. Rows side by side in memory are taken all at once.
    void long_rows(const Part<T, S>& whole) {
        const long together = whole.in_columns() ? whole.rows : 1, end = whole.first_row + whole.rows;
        const bool elementwise = task.function != Function::logsumexp;
        Part<T, S> read = whole, written = whole;
        State sums[group_rows], segment[group_rows], done[group_rows];
        written.rows = 0;
        while (read.first_row < end || written.rows) {
            read.rows = static_cast<int>(end - read.first_row < together ? end - read.first_row : together);
            for (long start = 0; start < task.classes; start += chunk) {
                read.start = written.start = start;
                read.length = written.length = task.classes - start < chunk ? task.classes - start : chunk;
                const char* later = read.rows ? read.following() : nullptr;
                if (read.rows) take(read, sums, segment, later);
                if (later) later += chunk / 2 * sizeof(S);
                if (written.rows) apply_rows(task, scale, exponential, written, done, later);
            }
            if (read.rows) finish(read, sums);
            written.first_row = read.first_row;
            written.rows = elementwise ? read.rows : 0;
            memcpy(done, sums, sizeof sums);
            read.first_row += read.rows;
        }
    }
    // One more chunk of the rows that are read; the segments are joined in order.
    void take(const Part<T, S>& part, State* sums, State* segment, const char* later) {
        const long length = segment_length(task.classes), end = part.start + part.length;
        for (int r = 0; r < part.rows && part.start % length == 0; r++) segment[r] = empty_state;
        reduce_part(task, scale, exponential, part, segment, later);
        if (end % length && end < task.classes) return;
        for (int r = 0; r < part.rows; r++) {
            if (end <= length) sums[r] = segment[r];
            else merge(scale, task.function, sums[r], segment[r]);
        }
    }
};

}  // namespace
