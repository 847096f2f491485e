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
    const Floats whole = select(moderate, (exponent + integer) - integer, zero);
    power = whole - broadcast(Lanes<float>::surplus);
    exponential.offset = offset;
    exponential.magic = broadcast(Lanes<float>::magic) - whole;
    exponential.least = (power + broadcast(Lanes<float>::least)) * broadcast(static_cast<float>(scale.inverse));
    return exponential;
}

// The range of all of sixteen rows.
inline Range range_of(const Exponential<float>& exponential, Floats top, Floats bottom, Floats offset) {
    const Floats powers =
        select(equal(offset, broadcast(0.0f)), (top - bottom) * exponential.high, broadcast(infinity<float>));
    const auto within = [&](double range) { return count(less(powers, broadcast(static_cast<float>(range)))) == 16; };
    return within(close_range<float>) ? Range::close : within(normal_range) ? Range::normal : Range::any;
}

template <int groups> constexpr Index most_classes = groups == 1 ? traits_of(Function::softmax).short_row : paired_row;

// Sums over the classes, for each lane by itself; settled after four, flushed after eight, the last up to sixteen
// together. step(group, sum, k, vectors) takes as many classes as there are in the array of vectors.
template <int groups, class Step>
inline __attribute__((always_inline)) void sum_lanes(Index classes, WideFloats (&wide)[groups], Step step) {
    Accumulator<float> sum[groups];
    const auto settle = [&]() __attribute__((always_inline)) {
        for (int g = 0; g < groups; g++) sum[g].settle();
    };
    for (Index k = 0; k < classes;) {
        Index until = k + 16 < classes ? k + 8 : classes;
        while (k + interleaved <= until) {
            for (int g = 0; g < groups; g++) {
                Floats v[interleaved];
                step(g, sum[g], k, v);
            }
            k += interleaved;
            if (k % until_settled == 0) settle();
        }
        while (k < until) {
            for (int g = 0; g < groups; g++) {
                Floats v[1];
                step(g, sum[g], k, v);
            }
            k++;
            if (k % until_settled == 0) settle();
        }
        if (k % until_settled) settle();
        for (int g = 0; g < groups; g++) sum[g].flush(wide[g]);
    }
}

template <bool all_normal> inline Normalizer<float, all_normal> normalizer_of_lanes(const WideFloats& sum) {
    const double factor = all_normal ? 1.0 : static_cast<double>(Lanes<float>::lift);
    Doubles high[2], lacking[2];
    inverse_of(sum.first, factor, high[0], lacking[0]);
    inverse_of(sum.second, factor, high[1], lacking[1]);
    return {narrow(high[0], high[1]), narrow(lacking[0], lacking[1])};
}

// The largest and the smallest of each of sixteen rows.
struct LaneExtremes {
    Floats top = broadcast(-infinity<float>), bottom = broadcast(infinity<float>);
    inline __attribute__((always_inline)) void take(Floats x) {
        top = maximum(top, x);
        bottom = minimum(bottom, x);
    }
};

// The tile is overwritten by a part of the exponentials. write(results) writes the results, results(group, class).
template <Range range, int groups, class Write>
inline void normalize_lanes(const Exponential<float> (&exponential)[groups], float* tile, Index classes, Write write) {
    constexpr bool all_normal = range != Range::any;
    constexpr Index step = groups * 16;
    alignas(64) float excesses[most_classes<groups> * step];
    WideFloats wide[groups];
    sum_lanes(classes, wide, [&](int g, Accumulator<float>& sum, Index k, auto& v) __attribute__((always_inline)) {
        constexpr int count = sizeof(v) / sizeof(v[0]);
        Floats value[count], excess[count];
        for (int i = 0; i < count; i++) v[i] = load(tile + (k + i) * step + g * 16);
        exponential[g].template parts<all_normal>(v, value, excess);
        for (int i = 0; i < count; i++) {
            sum.add<range>(value[i], excess[i]);
            store(tile + (k + i) * step + g * 16, value[i]);
            store(excesses + (k + i) * step + g * 16, excess[i]);
        }
    });
    struct {
        Normalizer<float, all_normal> of[groups];
        FloatsMask is_number[groups];
    } rows;
    for (int g = 0; g < groups; g++) {
        rows.of[g] = normalizer_of_lanes<all_normal>(wide[g]);
        rows.is_number[g] = equal(rows.of[g].high, rows.of[g].high);
    }
    const Floats none = broadcast(not_a_number<float>);
    const float* rests = excesses;
    write([=](int g, Index k) __attribute__((always_inline)) {
        const Index at = k * step + g * 16;
        return select(rows.is_number[g], rows.of[g].of(load(tile + at), load(rests + at)), none);
    });
}

template <int groups, class Write>
inline void short_softmax(const Scale<float>& scale, const Exponential<float>& any, float* tile, Index classes,
                          const LaneExtremes (&extremes)[groups], Write write) {
    Exponential<float> exponential[groups];
    Range range = Range::close;
    for (int g = 0; g < groups; g++) {
        Floats offset, power;
        const auto& [top, bottom] = extremes[g];
        exponential[g] = relative_to_lanes(scale, any, top, offset, power);
        range = wider(range, range_of(any, top, bottom, offset));
    }
    with_range<float>(range, [&](auto range) __attribute__((always_inline)) {
        normalize_lanes<decltype(range)::value>(exponential, tile, classes, write);
    });
}
// In place.
template <int groups>
inline void short_softmax(const Scale<float>& scale, const Exponential<float>& any, float* tile, Index classes) {
    LaneExtremes extremes[groups];
    for (Index k = 0; k < classes; k++)
        for (int g = 0; g < groups; g++) extremes[g].take(load(tile + (k * groups + g) * 16));
    short_softmax(scale, any, tile, classes, extremes, [&](auto results) __attribute__((always_inline)) {
        for (Index k = 0; k < classes; k++)
            for (int g = 0; g < groups; g++) store(tile + (k * groups + g) * 16, results(g, k));
    });
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
// The largest, the largest of the others (equal to it where it is not alone) and the smallest of each of sixteen rows.
struct LaneLargest {
    Floats top = broadcast(-infinity<float>), second = top, bottom = broadcast(infinity<float>);
    inline __attribute__((always_inline)) void take(Floats x) {
        second = maximum(second, minimum(top, x));
        top = maximum(top, x);
        bottom = minimum(bottom, x);
    }
};
// How many of the others equal the largest.
inline Floats ties_of(const LaneLargest& largest, const float* tile, Index classes) {
    const Floats zero = broadcast(0.0f), one = broadcast(1.0f);
    if (count(equal(largest.second, largest.top)) == 0) return zero;
    Floats equals = zero;
    for (Index k = 0; k < classes; k++) equals = equals + select(equal(load(tile + k * 16), largest.top), one, zero);
    return equals - one;
}

template <Range range, class Keep>
inline WideFloats sum_of_other_lanes(const Exponential<float>& exponential, Floats top, const float* tile,
                                     Index classes, Keep keep) {
    constexpr bool all_normal = range != Range::any;
    const Floats nothing = broadcast(-infinity<float>), zero = broadcast(0.0f);
    WideFloats wide[1];
    sum_lanes(classes, wide, [&](int, Accumulator<float>& sum, Index k, auto& v) __attribute__((always_inline)) {
        constexpr int count = sizeof(v) / sizeof(v[0]);
        Floats value[count], excess[count];
        FloatsMask is_top[count];
        for (int i = 0; i < count; i++) {
            v[i] = load(tile + (k + i) * 16);
            is_top[i] = equal(v[i], top);
            if (!all_normal) v[i] = select(is_top[i], nothing, v[i]);
        }
        exponential.parts<all_normal>(v, value, excess);
        for (int i = 0; i < count; i++) {
            if (all_normal) value[i] = select(is_top[i], zero, value[i]);
            sum.add<range>(value[i], excess[i]);
            keep(value[i], excess[i], k + i);
        }
    });
    return wide[0];
}

// sum(range, exponential) adds up the exponentials of the others; ties() counts how many of them equal the
// largest.
template <class Sum, class Ties>
inline ShortTotals short_totals(const Scale<float>& scale, const Exponential<float>& any, const LaneLargest& largest,
                                Sum sum_up, Ties ties) {
    const auto [top, second, bottom] = largest;
    const Floats nothing = broadcast(-infinity<float>), zero = broadcast(0.0f), one = broadcast(1.0f);
    Floats offset, power;
    const Floats relative = select(less(nothing, second), second, top);
    const Exponential<float> exponential = relative_to_lanes(scale, any, relative, offset, power);
    // The exponential of the largest, which is left out, may be any number but NaN.
    const bool moderate = count(less(absolute(top * any.high), broadcast(65536.0f))) == 16;
    const Range range = moderate ? range_of(any, relative, bottom, offset) : Range::any;
    const WideFloats sum = with_range<float>(range, [&](auto range) { return sum_up(range, exponential); });
    FloatsMask alone = equal(second, nothing);
    Doubles tops[2], offsets[2], powers[2], tied[2], lonely[2];
    widen(top, tops[0], tops[1]);
    widen(offset, offsets[0], offsets[1]);
    widen(power, powers[0], powers[1]);
    widen(ties(), tied[0], tied[1]);
    widen(select(alone, zero, one), lonely[0], lonely[1]);
    const Doubles sums[2] = {sum.first, sum.second};
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
template <class Keep>
inline ShortTotals short_totals(const Scale<float>& scale, const Exponential<float>& any, const float* tile,
                                Index classes, const LaneLargest& largest, Keep keep) {
    return short_totals(
        scale, any, largest,
        [&](auto range, const Exponential<float>& exponential) {
            return sum_of_other_lanes<decltype(range)::value>(exponential, largest.top, tile, classes, keep);
        },
        [&] { return ties_of(largest, tile, classes); });
}

// The logarithms of sixteen rows, from their totals.
class ShortLogarithms {
    Doubles top_[2], log_total_[2], slope_;
    FloatsMask is_number_;
    float tops_[16];
    double logs_[16];

  public:
    ShortLogarithms(double temperature, const ShortTotals& totals) : slope_(broadcast(1 / temperature)) {
        for (int h = 0; h < 2; h++) log_total_[h] = log1p(totals.others[h]);
        widen(totals.top, top_[0], top_[1]);
        store(tops_, totals.top);
        store(logs_, log_total_[0]);
        store(logs_ + 8, log_total_[1]);
        const Floats zero = broadcast(0.0f);
        const Floats check = totals.top * zero + narrow(log_total_[0], log_total_[1]) * zero;
        is_number_ = equal(check, check);
    }
    inline __attribute__((always_inline)) Floats of(Floats x) const {
        Doubles low, high;
        widen(x, low, high);
        low = fms(low - top_[0], slope_, log_total_[0]);
        high = fms(high - top_[1], slope_, log_total_[1]);
        return select(is_number_, narrow(low, high), broadcast(not_a_number<float>));
    }
    // logsumexp of the row in a lane. otherwise(top) is its state where it is no sum of numbers.
    template <class Otherwise> void write_sum(const Task& task, Index row, int lane, Otherwise otherwise) const {
        double maximum = tops_[lane];
        if (!is_finite(tops_[lane]) || !is_finite(logs_[lane])) maximum = otherwise(tops_[lane]).maximum;
        write_result(task, row, log_sum<float>(task, row, maximum, logs_[lane]));
    }
};

// A group is fetched and committed by itself: they share one buffer.
template <int groups>
inline void short_softmax_groups(const Task& task, const Scale<float>& scale, const Exponential<float>& exponential,
                                 const Part<float> (&parts)[groups], Staging& staging) {
    alignas(64) float tile[most_classes<groups> * groups * 16];
    LaneExtremes extremes[groups];
    for (int g = 0; g < groups; g++) extremes[g] = load_short<LaneExtremes>(parts[g], tile + g * 16, groups * 16);
    short_softmax(scale, exponential, tile, task.classes, extremes, [&](auto results) __attribute__((always_inline)) {
        for (int g = 0; g < groups; g++)
            store_short(
                task, parts[g], [=](Index k) __attribute__((always_inline)) { return results(g, k); }, 0, staging);
    });
}

inline void short_log_group(const Task& task, const Scale<float>& scale, const Exponential<float>& exponential,
                            const Part<float>& part, Staging& staging) {
    alignas(64) float tile[traits_of(Function::logsumexp).short_row * 16];
    const LaneLargest largest = load_short<LaneLargest>(part, tile, 16);
    const ShortTotals totals = short_totals(scale, exponential, tile, part.length, largest, Nothing());
    const ShortLogarithms logarithms(task.temperature, totals);
    if (task.function == Function::logsumexp) {
        for (int r = 0; r < part.rows; r++)
            logarithms.write_sum(task, part.first_row + r, r, [&](float top) {
                float row[traits_of(Function::logsumexp).short_row];
                for (Index k = 0; k < part.length; k++) row[k] = tile[k * 16 + r];
                return degenerate<float>(row, part.length, top);
            });
        return;
    }
    const float* of = tile;
    const auto result = [=](Index k) __attribute__((always_inline)) { return logarithms.of(load(of + k * 16)); };
    store_short(task, part, result, -infinity<float>, staging);
}

}  // namespace
