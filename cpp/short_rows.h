// Rows of up to some hundred classes, sixteen of them in the lanes of one vector, class by class: the work of
// one row is done for sixteen at once. Two groups of very short rows go together: each is a chain of dependent
// operations, and two chains overlap.
#pragma once

#include "cancellation.h"
#include "short_tiles.h"

namespace {

// As reference(), for sixteen rows at once. A row of infinities or NaN gets NaN.
inline Exponential<float> relative_to_lanes(const Scale<float>& scale, Exponential<float> exponential, Floats maximum,
                                            Floats& offset, Floats& power) {
    const Floats zero = broadcast(0.0f), integer = broadcast(0x1.8p23f);
    Floats exponent = maximum * exponential.high;
    FloatsMask moderate = less(absolute(exponent), broadcast(65536.0f));
    offset = select(moderate, zero, maximum);
    power = select(moderate, (exponent + integer) - integer, zero);
    exponential.offset = offset;
    exponential.magic = broadcast(Lanes<float>::magic) - power;
    exponential.least = (power + broadcast(Lanes<float>::least)) * broadcast(static_cast<float>(scale.inverse));
    return exponential;
}

// Whether no result of sixteen rows is subnormal.
inline bool is_all_normal(const Exponential<float>& exponential, Floats top, Floats bottom, Floats offset) {
    const Floats range =
        select(equal(offset, broadcast(0.0f)), (top - bottom) * exponential.high, broadcast(infinity<float>));
    return count(less(range, broadcast(static_cast<float>(normal_range)))) == 16;
}

template <int groups> constexpr Index most_classes = groups == 1 ? traits_of(Function::softmax).short_row : paired_row;

// Sums over the classes, for each lane by itself; flushed after eight, the last up to sixteen together.
// step(group, sum, k, vectors) takes as many classes as there are in the array of vectors.
template <int groups, class Step>
inline __attribute__((always_inline)) void sum_lanes(Index classes, WideFloats (&wide)[groups], Step step) {
    Accumulator<float> sum[groups];
    for (Index k = 0; k < classes;) {
        Index until = k + 16 < classes ? k + 8 : classes;
        for (; k + interleaved <= until; k += interleaved)
            for (int g = 0; g < groups; g++) {
                Floats v[interleaved];
                step(g, sum[g], k, v);
            }
        for (; k < until; k++)
            for (int g = 0; g < groups; g++) {
                Floats v[1];
                step(g, sum[g], k, v);
            }
        for (int g = 0; g < groups; g++) sum[g].flush(wide[g]);
    }
}

template <bool all_normal> inline Normalizer<float, all_normal> normalizer_of_lanes(const WideFloats& sum) {
    const Doubles lift = broadcast(all_normal ? 1.0 : static_cast<double>(Lanes<float>::lift));
    Doubles first = lift / sum.first, second = lift / sum.second, a, b;
    Normalizer<float, all_normal> normalizer;
    normalizer.high = narrow(first, second);
    widen(normalizer.high, a, b);
    normalizer.low = narrow(first - a, second - b);
    return normalizer;
}

template <bool all_normal, int groups>
inline void normalize_lanes(const Exponential<float> (&exponential)[groups], float* tile, Index classes) {
    constexpr Index step = groups * 16;
    alignas(64) float excesses[most_classes<groups> * step];
    WideFloats wide[groups];
    sum_lanes(classes, wide, [&](int g, Accumulator<float>& sum, Index k, auto& v) __attribute__((always_inline)) {
        constexpr int count = sizeof(v) / sizeof(v[0]);
        Floats value[count], excess[count];
        for (int i = 0; i < count; i++) v[i] = load(tile + (k + i) * step + g * 16);
        exponential[g].template parts<all_normal>(v, value, excess);
        for (int i = 0; i < count; i++) {
            sum.add(value[i], excess[i]);
            store(tile + (k + i) * step + g * 16, value[i]);
            store(excesses + (k + i) * step + g * 16, excess[i]);
        }
    });
    Normalizer<float, all_normal> normalizer[groups];
    bool numbers = true;
    for (int g = 0; g < groups; g++) {
        normalizer[g] = normalizer_of_lanes<all_normal>(wide[g]);
        numbers &= count(equal(normalizer[g].high, normalizer[g].high)) == 16;
    }
    for (Index k = 0; k < classes; k++)
        for (int g = 0; g < groups; g++) {
            float* at = tile + k * step + g * 16;
            Floats value = load(at), excess = load(excesses + k * step + g * 16);
            store(at, normalizer[g].of(value, excess));
        }
    if (numbers) return;
    for (Index k = 0; k < classes; k++)
        for (int g = 0; g < groups; g++) {
            float* at = tile + k * step + g * 16;
            store(at, select(equal(normalizer[g].high, normalizer[g].high), load(at), broadcast(not_a_number<float>)));
        }
}

template <int groups>
inline void short_softmax(const Scale<float>& scale, const Exponential<float>& any, float* tile, Index classes) {
    Floats top[groups], bottom[groups];
    for (int g = 0; g < groups; g++) top[g] = bottom[g] = load(tile + g * 16);
    for (Index k = 1; k < classes; k++)
        for (int g = 0; g < groups; g++) {
            Floats x = load(tile + (k * groups + g) * 16);
            top[g] = maximum(top[g], x);
            bottom[g] = minimum(bottom[g], x);
        }
    Exponential<float> exponential[groups];
    bool all_normal = true;
    for (int g = 0; g < groups; g++) {
        Floats offset, power;
        exponential[g] = relative_to_lanes(scale, any, top[g], offset, power);
        all_normal &= is_all_normal(any, top[g], bottom[g], offset);
    }
    all_normal ? normalize_lanes<true>(exponential, tile, classes) : normalize_lanes<false>(exponential, tile, classes);
}

// 2^(c (offset - maximum) + power) for eight rows, the exponent in two parts.
inline Doubles ratio_lanes(const Scale<float>& scale, Doubles offset, Doubles maximum, Doubles power) {
    Doubles difference = offset - maximum, c = broadcast(scale.high);
    Doubles product = difference * c;
    Doubles rest = fma(difference, broadcast(scale.low), fms(difference, c, product));
    Doubles sum = product + power, part = sum - product;
    Doubles result = exp2(sum, ((product - (sum - part)) + (power - part)) + rest);
    return select(less(sum, broadcast(-1080.0)), broadcast(0.0), result);
}

// The maximum of each row and the sum of the others, relative to it. keep(value, excess, k) may store the parts of the
// exponentials: times `shift` they are relative to the maximum too.
struct ShortTotals {
    Floats top;
    Doubles shift[2], others[2];
};
template <class Keep>
inline ShortTotals short_totals(const Scale<float>& scale, const Exponential<float>& any, const float* tile,
                                Index classes, Keep keep) {
    const Floats nothing = broadcast(-infinity<float>), zero = broadcast(0.0f), one = broadcast(1.0f);
    Floats second = nothing, ties = zero, offset, power, top = nothing;
    for (Index k = 0; k < classes; k++) {
        Floats x = load(tile + k * 16);
        second = maximum(second, minimum(top, x));
        top = maximum(top, x);
    }
    const Exponential<float> exponential =
        relative_to_lanes(scale, any, select(less(nothing, second), second, top), offset, power);
    WideFloats wide[1];
    sum_lanes(classes, wide, [&](int, Accumulator<float>& sum, Index k, auto& v) __attribute__((always_inline)) {
        constexpr int count = sizeof(v) / sizeof(v[0]);
        Floats value[count], excess[count];
        for (int i = 0; i < count; i++) {
            Floats x = load(tile + (k + i) * 16);
            FloatsMask is_top = equal(x, top);
            ties = ties + select(is_top, one, zero);
            v[i] = select(is_top, nothing, x);
        }
        exponential.parts<false>(v, value, excess);
        for (int i = 0; i < count; i++) {
            sum.add(value[i], excess[i]);
            keep(value[i], excess[i], k + i);
        }
    });
    FloatsMask alone = equal(second, nothing);
    Doubles tops[2], offsets[2], powers[2], tied[2], lonely[2];
    widen(top, tops[0], tops[1]);
    widen(offset, offsets[0], offsets[1]);
    widen(power, powers[0], powers[1]);
    widen(ties - one, tied[0], tied[1]);
    widen(select(alone, zero, one), lonely[0], lonely[1]);
    const Doubles sums[2] = {wide[0].first, wide[0].second};
    ShortTotals totals;
    totals.top = top;
    for (int h = 0; h < 2; h++) {
        const Doubles ratio =
            ratio_lanes(scale, offsets[h], tops[h], powers[h]) * broadcast(1 / static_cast<double>(Lanes<float>::bias));
        totals.shift[h] = ratio * lonely[h];
        totals.others[h] = fma(sums[h] * ratio, lonely[h], tied[h]);
    }
    return totals;
}

// A group is fetched and committed by itself: they share one buffer.
template <int groups>
inline void short_softmax_groups(const Task& task, const Scale<float>& scale, const Exponential<float>& exponential,
                                 const Part<float> (&parts)[groups], Staging& staging) {
    alignas(64) float tile[most_classes<groups> * groups * 16];
    for (int g = 0; g < groups; g++) load_short(parts[g], tile + g * 16, groups * 16);
    short_softmax<groups>(scale, exponential, tile, task.classes);
    for (int g = 0; g < groups; g++) store_short(task, parts[g], tile + g * 16, groups * 16, 0, staging);
}

inline void short_log_group(const Task& task, const Scale<float>& scale, const Exponential<float>& exponential,
                            const Part<float>& part, Staging& staging) {
    alignas(64) float tile[traits_of(Function::logsumexp).short_row * 16];
    load_short(part, tile, 16);
    const ShortTotals totals = short_totals(scale, exponential, tile, part.length, Nothing());
    const Floats top = totals.top;
    Doubles log_total[2] = {log1p(totals.others[0]), log1p(totals.others[1])}, low, high;
    float tops[16];
    double logs[16];
    store(tops, top);
    store(logs, log_total[0]);
    store(logs + 8, log_total[1]);
    if (task.function == Function::logsumexp) {
        for (int r = 0; r < part.rows; r++) {
            double maximum = tops[r];
            if (!is_finite(tops[r]) || !is_finite(logs[r])) {
                float row[traits_of(Function::logsumexp).short_row];
                for (Index k = 0; k < part.length; k++) row[k] = tile[k * 16 + r];
                maximum = degenerate<float>(row, part.length, tops[r]).maximum;
            }
            write_result(task, part.first_row + r, log_sum<float>(task, part.first_row + r, maximum, logs[r]));
        }
        return;
    }
    Doubles tops_low, tops_high, slope = broadcast(1 / task.temperature);
    widen(top, tops_low, tops_high);
    for (Index k = 0; k < part.length; k++) {
        widen(load(tile + k * 16), low, high);
        store(tile + k * 16,
              narrow(fms(low - tops_low, slope, log_total[0]), fms(high - tops_high, slope, log_total[1])));
    }
    for (int r = 0; r < part.rows; r++)
        if (!is_finite(tops[r]) || !is_finite(logs[r]))
            for (Index k = 0; k < part.length; k++) tile[k * 16 + r] = not_a_number<float>;
    store_short(task, part, tile, 16, -infinity<float>, staging);
}

}  // namespace
