// softmax and log_softmax of whole rows: from their states to what is written.
#pragma once

#include "row_state.h"

namespace {

template <class T, class S, class D>
inline void apply_part(const Task& task, const Scale<T>& scale, Exponential<T>& exponential, const RowState& state,
                       const S* x, D* out, Index n, const char* later = nullptr, Index next = 0) {
    using Vector = typename Lanes<T>::Vector;
    if (!is_finite(state.maximum)) return fill(out, n, not_a_number<T>);
    if (task.function == Function::softmax) {
        exponential.relative_to(scale, {state.offset, state.power});
        with_constant(is_all_normal(scale, state), [&](auto all_normal) __attribute__((always_inline)) {
            constexpr bool is_all_normal = decltype(all_normal)::value;
            Exponential<T> local = exponential;
            if (is_all_normal) {
                T unit, rest;
                inverse(total_of(state), Lanes<T>::bias, unit, rest);
                local.set_unit(unit, rest);
            }
            const Normalizer<T, is_all_normal> normalizer = normalizer_of<T, is_all_normal>(state);
            map<T>(x, out, n, task.stream, later, next, [=](auto& v, Index) __attribute__((always_inline)) {
                constexpr int count = sizeof(v) / sizeof(v[0]);
                Vector value[count], excess[count];
                local.template parts<is_all_normal>(v, value, excess);
                for (int k = 0; k < count; k++)
                    v[k] = is_all_normal ? fma(value[k], excess[k], value[k]) : normalizer.of(value[k], excess[k]);
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
                    map<T>(x, out, n, task.stream, later, next, [=](auto& v, Index) __attribute__((always_inline)) {
                        for (auto& one : v) one = shifted<decltype(within)::value>(one, high, low);
                    });
                });
            }
        }
        map<T>(x, out, n, task.stream, later, next, [=](auto& v, Index) __attribute__((always_inline)) {
            for (auto& one : v) one = shifted_log(one, maximum, slope, log_total);
        });
    }
}

template <class T> inline T masked_value(const Task& task) {
    return task.function == Function::log_softmax ? -infinity<T> : static_cast<T>(0);
}

// The parts of the exponentials are kept between the two passes for rows up to this length.
template <class T> constexpr Index kept_row = 16384 / sizeof(T);

// Rows that fit the first level of the cache, two by two, with all that belongs to them. What is done once a row is a
// long chain of dependent operations: it waits behind work on other rows. The values wait in the output itself, or
// beside the excesses where it has another type or is streamed; both begin as far from a cache line's border as the
// output does.
template <class T, class S, class D>
inline void softmax_rows_kept(const Task& task, const Scale<T>& scale, Exponential<T>& exponential, const S* const* in,
                              D* const* out, int rows) {
    using Vector = typename Lanes<T>::Vector;
    constexpr int width = Lanes<T>::width, pair = 2;
    constexpr Index space = kept_row<T> + 2 * width;
    constexpr bool fits = sizeof(D) == sizeof(T);
    const Index n = task.classes;
    alignas(64) T values[pair * space], excesses[pair * space];
    Extremes<T> extreme[pair];
    for (int r = 0; r < pair && r < rows; r++) extreme[r] = extremes<T>(in[r], n);
    for (; rows > 0; rows -= pair, in += pair, out += pair) {
        const int here = rows < pair ? rows : pair;
        T *value_at[pair], *excess_at[pair], high[pair], low[pair];
        RowState states[pair];
        typename WideOf<T>::type wide[pair];
        for (int r = 0; r < here; r++) {
            const Index from =
                r * space + static_cast<Index>((reinterpret_cast<uintptr_t>(out[r]) & 63) / sizeof(D) % width);
            T *value_to = values + from, *excess_to = excesses + from;
            if constexpr (fits)
                if (!task.stream) value_to = out[r];
            const auto keep = [=](Vector value, Vector excess, Index i, int count) __attribute__((always_inline)) {
                count < width ? store_partial(value_to + i, value, count) : store(value_to + i, value);
                store(excess_to + i, excess);
            };
            states[r] =
                sum_with_extremes<T>(in[r], n, extreme[r], scale, exponential, wide[r], keep, Nowhere(), pair * n);
            value_at[r] = value_to;
            excess_at[r] = excess_to;
        }
        for (int r = 0; r < here; r++) {
            states[r] = with_total(states[r], wide[r].total());
            inverse(total_of(states[r]), is_all_normal(scale, states[r]) ? 1 : Lanes<T>::lift, high[r], low[r]);
        }
        for (int r = 0; r < pair && r < rows - pair; r++) extreme[r] = extremes<T>(in[pair + r], n);
        for (int r = 0; r < here; r++) {
            if (!is_finite(states[r].maximum)) {
                fill(out[r], n, not_a_number<T>);
                continue;
            }
            const T *value_from = value_at[r], *excess_from = excess_at[r];
            with_constant(is_all_normal(scale, states[r]), [&](auto all_normal) __attribute__((always_inline)) {
                const Normalizer<T, decltype(all_normal)::value> normalizer = {broadcast(high[r]), broadcast(low[r])};
                const Index next = fits ? 0 : pair * n;
                map<T>(value_from, out[r], n, task.stream, nullptr, next,
                       [=](auto& v, Index i) __attribute__((always_inline)) {
                           for (auto& one : v) {
                               one = normalizer.of(one, load(excess_from + i));
                               i += width;
                           }
                       });
            });
        }
    }
}

}  // namespace
