// A short row by itself, sixteen of its classes in a vector, where few rows would leave most lanes of a group empty. It
// takes the steps that it would take in a lane of its own (short_rows.h), so that its bits are the same.
#pragma once

#include "short_rows.h"

namespace {

// Whether so many rows take less time one by one than together.
inline bool go_alone(int rows, Index classes) { return rows * (classes + 170) < 18 * classes + 430; }

// The parts of the exponentials of one row, and what they add up to.
class LoneParts {
    // Sixteen blocks of eight classes are summed up together, each in a lane.
    static constexpr Index block = 8, together = group_rows * block;
    static constexpr Index space = (traits_of(Function::softmax).short_row + together - 1) / together * together;
    static_assert(traits_of(Function::logsumexp).short_row <= space &&
                      traits_of(Function::log_softmax).short_row <= space,
                  "the parts of every short row fit");
    alignas(64) float values_[space];
    alignas(64) float excesses_[space];

  public:
    Floats value(Index i) const { return load(values_ + i); }
    Floats excess(Index i) const { return load(excesses_ + i); }

    // With `others`, elements equal to `top` count as nothing.
    template <bool others, bool all_normal>
    inline __attribute__((always_inline)) void compute(const float* x, Index n, const Exponential<float>& exponential,
                                                       Floats top) {
        const Floats nothing = broadcast(-infinity<float>), zero = broadcast(0.0f);
        each<float>(x, n, first_of(x), [&](Floats v, Index i) __attribute__((always_inline)) {
            Floats one[1] = {v}, value[1], excess[1];
            const FloatsMask is_top = equal(v, top);
            if (others && !all_normal) one[0] = select(is_top, nothing, v);
            exponential.parts<all_normal>(one, value, excess);
            if (others && all_normal) value[0] = select(is_top, zero, value[0]);
            store(values_ + i, value[0]);
            store(excesses_ + i, excess[0]);
        });
    }

    // As sum_lanes(): blocks of eight classes, and a last one of up to sixteen.
    WideFloats sum(Index n) {
        const Index blocks = n > 2 * block ? (n - block - 1) / block : 0, last = blocks * block;
        double total = 0;
        for (Index b = 0; b < blocks; b += group_rows) {
            const Index end = (b + group_rows) * block, filled = (n + 15) / 16 * 16;
            for (Index i = filled; i < end; i += 16) {
                store(values_ + i, broadcast(0.0f));
                store(excesses_ + i, broadcast(0.0f));
            }
            Accumulator<float> sum;
            for (Index half = b * block; half < b * block + block; half += 4) {
                Floats value[4], excess[4];
                load_columns(reinterpret_cast<const char*>(values_ + half), block * sizeof(float), value);
                load_columns(reinterpret_cast<const char*>(excesses_ + half), block * sizeof(float), excess);
                for (int k = 0; k < 4; k++) sum.add(value[k], excess[k]);
                sum.settle();
            }
            WideFloats wide;
            sum.flush(wide);
            double sums[group_rows];
            store(sums, wide.first);
            store(sums + 8, wide.second);
            const Index valid = blocks - b < group_rows ? blocks - b : group_rows;
            for (Index i = 0; i < valid; i++) total += sums[i];
        }
        float high = Accumulator<float>::start, low = 0;
        for (Index i = last; i < n; i++) {
            const float s = high + values_[i], lost = values_[i] - (s - high);
            high = s;
            low = fused(values_[i], excesses_[i], low) + lost;
            if ((i + 1) % until_settled && i + 1 < n) continue;
            const float settled = high + low;
            low -= settled - high;
            high = settled;
        }
        total += static_cast<double>(high - Accumulator<float>::start) + static_cast<double>(low);
        WideFloats everywhere;
        everywhere.first = everywhere.second = broadcast(total);
        return everywhere;
    }
};

// out[i] = result(x, i), where x holds sixteen elements from i on.
template <class Result>
inline __attribute__((always_inline)) void write_lone(const float* x, float* out, Index n, Result result) {
    Index i = 0;
    for (; i + 16 <= n; i += 16) store(out + i, result(load(x + i), i));
    if (i < n) {
        const int rest = static_cast<int>(n - i);
        store_partial(out + i, result(load_partial(x + i, rest, 0), i), rest);
    }
}

inline void lone_softmax(const Scale<float>& scale, const Exponential<float>& any, const float* x, float* out,
                         Index n) {
    const auto [most, least] = extremes<float>(x, n);
    const Floats top = broadcast(most), none = broadcast(not_a_number<float>);
    Floats offset, power;
    const Exponential<float> exponential = relative_to_lanes(scale, any, top, offset, power);
    LoneParts parts;
    with_constant(range_of(any, top, broadcast(least), offset) != Range::any, [&](auto all_normal) {
        constexpr bool is_normal = decltype(all_normal)::value;
        parts.compute<false, is_normal>(x, n, exponential, top);
        const auto normalizer = normalizer_of_lanes<is_normal>(parts.sum(n));
        const FloatsMask is_number = equal(normalizer.high, normalizer.high);
        write_lone(x, out, n, [&](Floats, Index i) __attribute__((always_inline)) {
            return select(is_number, normalizer.of(parts.value(i), parts.excess(i)), none);
        });
    });
}
inline void lone_softmaxes(const Scale<float>& scale, const Exponential<float>& exponential, const Part<float>& part) {
    const float* in[group_rows];
    float* out[group_rows];
    part.fetch(in);
    part.targets(out);
    for (int r = 0; r < part.rows; r++) lone_softmax(scale, exponential, in[r], out[r], part.length);
    part.commit(out, 0);
}

inline ShortTotals lone_totals(const Scale<float>& scale, const Exponential<float>& any, const float* x, Index n) {
    const Largest<float> found = two_largest<float>(x, n);
    LaneLargest largest;
    largest.top = broadcast(found.first);
    largest.second = broadcast(found.second);
    largest.bottom = broadcast(found.least);
    LoneParts parts;
    return short_totals(
        scale, any, largest,
        [&](auto range, const Exponential<float>& exponential) {
            parts.compute<true, decltype(range)::value != Range::any>(x, n, exponential, largest.top);
            return parts.sum(n);
        },
        [&] {
            const bool tied = found.second == found.first;
            return broadcast(tied ? static_cast<float>(count_equal<float>(x, n, found.first) - 1) : 0.0f);
        });
}
// The logarithm of the share of one of the elements.
inline float lone_logarithm(double temperature, const float* x, Index n, float element) {
    const Scale<float> scale(temperature);
    const ShortLogarithms logarithms(temperature, lone_totals(scale, Exponential<float>(scale), x, n));
    float lanes[16];
    store(lanes, logarithms.of(broadcast(element)));
    return lanes[0];
}

inline void lone_logarithms(const Task& task, const Scale<float>& scale, const Exponential<float>& any,
                            const Part<float>& part) {
    const bool elementwise = task.function != Function::logsumexp;
    const Index n = part.length;
    const float* in[group_rows];
    float* out[group_rows];
    part.fetch(in);
    if (elementwise) part.targets(out);
    for (int r = 0; r < part.rows; r++) {
        const float* x = in[r];
        const ShortLogarithms logarithms(task.temperature, lone_totals(scale, any, x, n));
        if (elementwise)
            write_lone(x, out[r], n, [&](Floats v, Index) __attribute__((always_inline)) { return logarithms.of(v); });
        else logarithms.write_sum(task, part.first_row + r, 0, [&](float top) { return degenerate<float>(x, n, top); });
    }
    if (elementwise) part.commit(out, -infinity<float>);
}

}  // namespace
