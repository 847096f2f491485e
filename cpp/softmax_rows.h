// softmax and log_softmax of whole rows: from their states to the results.
#pragma once

#include "row_state.h"

namespace {

template <class T, class S, class D>
inline void apply_part(const Task& task, bool streams, const Scale<T>& scale, Exponential<T>& exponential,
                       const RowState& state, const S* x, D* out, Index n, const char* later = nullptr,
                       Index next = 0) {
    using Vector = typename Lanes<T>::Vector;
    if (!is_finite(state.maximum)) return fill(out, n, not_a_number<T>);
    if (task.function == Function::softmax) {
        exponential.relative_to(scale, {state.offset, state.power});
        with_constant(is_all_normal(scale, state), [&](auto all_normal) __attribute__((always_inline)) {
            constexpr bool is_all_normal = decltype(all_normal)::value;
            T inverse_high, inverse_low;
            inverse(total_of(state), is_all_normal ? 1 : Lanes<T>::lift, inverse_high, inverse_low);
            Exponential<T> raised = exponential.of_one_row();
            raise(raised, inverse_low);
            const Vector high = broadcast(inverse_high), low = broadcast(inverse_low);
            map<T>(x, out, n, streams, later, next, [=](auto& v, Index) __attribute__((always_inline)) {
                shares_of_row<is_all_normal>(raised, high, low, v);
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
                    map<T>(x, out, n, streams, later, next, [=](auto& v, Index) __attribute__((always_inline)) {
                        for (auto& one : v) {
                            hold(one);
                            one = shifted<decltype(within)::value>(one, high, low);
                        }
                    });
                });
            }
        }
        map<T>(x, out, n, streams, later, next, [=](auto& v, Index) __attribute__((always_inline)) {
            for (auto& one : v) one = shifted_log(one, maximum, slope, log_total);
        });
    }
}

template <class T> inline T masked_value(const Task& task) {
    return task.function == Function::log_softmax ? -infinity<T> : static_cast<T>(0);
}

// The parts of the exponentials are kept between the two passes for rows up to this length.
template <class T> constexpr Index kept_row = 16384 / sizeof(T);

// Two parts of each exponential of a row, kept in the first level of the cache. A load waits for a store shortly before
// it if the last twelve bits of their addresses are the same: so both lie a part of a page away from the row that is
// read meanwhile. They begin as far from a cache line's border as the output does. The values of a longer row lie in
// the output itself: the row, the next one, the output and both parts would not fit.
template <class T> class KeptParts {
    static constexpr Index page = 4096, space = kept_row<T> + (page + 64) / static_cast<Index>(sizeof(T));
    static constexpr Index beside_output = 6144 / sizeof(T);
    alignas(page) T values_[space];
    alignas(page) T excesses_[space];

  public:
    T *values, *excesses;
    template <class S, class D> void place(const S* x, D* out, Index n, bool streams) {
        const uintptr_t line = reinterpret_cast<uintptr_t>(x), border = reinterpret_cast<uintptr_t>(out) & 63;
        const auto from = [&](uintptr_t away) {
            return ((line + away) & (page - 64)) / sizeof(T) + border / sizeof(D) % Lanes<T>::width;
        };
        values = values_ + from(page / 4);
        excesses = excesses_ + from(page / 2);
        if constexpr (sizeof(D) == sizeof(T))
            if (!streams && n > beside_output) values = out;
    }
};

// Rows that fit the first level of the cache, with all that belongs to them. What is done once a row are two long
// chains of dependent operations: to its total and to what its results are multiplied by, and to what the exponentials
// of the next row are relative to. While the first is waited for, the largest of the next row is looked for; while the
// second is, the results are written.
template <class T, class S, class D>
inline void softmax_rows_kept(const Task& task, bool streams, const Scale<T>& scale, Exponential<T>& exponential,
                              const S* const* in, D* const* out, int rows) {
    using Vector = typename Lanes<T>::Vector;
    constexpr int width = Lanes<T>::width;
    const Index n = task.classes;
    KeptParts<T> kept;
    RowState next = begin_sum(in[0], n, extremes<T>(in[0], n), scale, exponential);
    for (int r = 0; r < rows; r++) {
        RowState state = next;
        kept.place(in[r], out[r], n, streams);
        T *const values = kept.values, *const excesses = kept.excesses;
        const char* to_write = streams ? reinterpret_cast<const char*>(values) : reinterpret_cast<const char*>(out[r]);
        const auto keep = [=](Vector value, Vector excess, Index i, int count) __attribute__((always_inline)) {
            count < width ? store_partial(values + i, value, count) : store(values + i, value);
            store(excesses + i, excess);
            prefetch_to_write(to_write + i * static_cast<Index>(sizeof(D)));
        };
        if (is_finite(state.maximum))
            state = with_total(state, sum_up(in[r], n, state, scale, exponential, keep, Nowhere(), n).total());
        const bool is_normal = is_all_normal(scale, state);
        T high, low;
        inverse(total_of(state), is_normal ? 1 : Lanes<T>::lift, high, low);
        if (r + 1 < rows) next = begin_sum(in[r + 1], n, extremes<T>(in[r + 1], n), scale, exponential);
        if (!is_finite(state.maximum)) {
            fill(out[r], n, not_a_number<T>);
            continue;
        }
        with_constant(is_normal, [&](auto all_normal) __attribute__((always_inline)) {
            const Normalizer<T, decltype(all_normal)::value> normalizer = {broadcast(high), broadcast(low)};
            map<T>(values, out[r], n, streams, nullptr, 0, [=](auto& v, Index i) __attribute__((always_inline)) {
                for (auto& one : v) {
                    one = normalizer.of(one, load(excesses + i));
                    i += width;
                }
            });
        });
    }
}

}  // namespace
