// What may be done to the scores of a row before the draw, but for what mass_filters.h holds.
#pragma once

#include "partition.h"
#include "selection.h"

namespace {

// Beyond the largest number: held there.
inline double held(double score) {
    constexpr double limit = 0x1.fffffffffffffp1023;
    return score > limit ? limit : score < -limit ? -limit : score;
}

// Two float32 scores stay different in double after any division; two doubles may become equal, and ties count.
inline void divide_scores(Selection<float>&) {}
inline void divide_scores(Selection<double>& row) {
    for (Index i = 0; i < row.left.count; i++) {
        row.kept_token[i] = row.left.id(i);
        row.kept_score[i] =
            row.left.score[i] == -infinity<double> ? row.left.score[i] : held(row.left.score[i] / row.temperature);
    }
    row.leave(row.left.count);
    row.largest = held(row.largest / row.temperature);
    row.temperature = 1;
}
template <class T> inline void set_temperature(Selection<T>& row, double value) {
    if (value > 0) {
        row.temperature = value;
        return divide_scores(row);
    }
    Index best = 0;
    while (row.left.score[best] != row.largest) best++;
    const uint32_t token = row.left.id(best);
    row.kept_score[0] = row.largest;
    row.kept_token[0] = token;
    row.leave(1);
}

// At least k scores are at least so large: the k-th largest of the blocks' maxima.
template <class T> inline T lower_bound(const Selection<T>& row, Index k) {
    const Index blocks = (row.left.count + block - 1) / block;
    if (!row.blocks_known || k > blocks) return -infinity<T>;
    for (Index i = 0; i < blocks; i++) row.spare_score[i] = row.block_largest[i];
    return kth_largest(row.spare_score, blocks, k);
}

template <class T> inline void keep_top_k(Selection<T>& row, double parameter) {
    if (!(parameter < static_cast<double>(row.left.count))) return;
    const Index k = static_cast<Index>(parameter);
    const T bound = lower_bound(row, k);
    Index kept = 0;
    for (Index start = 0; start < row.left.count; start += block) {
        const Index end = row.left.count - start < block ? row.left.count : start + block;
        if (!row.blocks_known || row.block_largest[start / block] >= bound) kept = row.append(start, end, bound, kept);
    }
    row.leave(kept);
    for (Index i = 0; i < kept; i++) row.spare_score[i] = row.kept_score[i];
    row.keep_from(kth_largest(row.spare_score, kept, k));
}

template <class T> inline void keep_min_p(Selection<T>& row, double p) {
    if (p < 1e-300) return;
    row.keep_from(row.bound_of(p));
    row.keep_where([](Doubles offset) { return decided_exp(offset); }, [p](double weight) { return weight >= p; });
}

template <class T> constexpr T least_finite = sizeof(T) == 4 ? -0x1.fffffep127 : -0x1.fffffffffffffp1023;
template <class T> inline T smallest_left(const Selection<T>& row) {
    T smallest = row.left.score[0];
    for (Index i = 1; i < row.left.count; i++) smallest = row.left.score[i] < smallest ? row.left.score[i] : smallest;
    return smallest;
}
// The sum of number(distance below the largest in units of the range), in whole units.
template <class T, class Number>
inline int64_t sum_of(const Selection<T>& row, Number number, double top, double span) {
    const Doubles half = broadcast(0.5), high = broadcast(top), range = broadcast(span),
                  heat = broadcast(row.temperature);
    const Doubles unit = broadcast(static_cast<double>(1ll << row.unit_bits())), whole = broadcast(0x1p52);
    auto rounded = [&](Doubles score) {
        const Doubles distance = (high - half * (score / heat)) / range;
        const Doubles result = (number(distance) * unit + whole) - whole;
        return select(less(distance, broadcast(infinity<double>)), result, broadcast(0.0));  // not the filled-up lanes
    };
    WholeSum sum(row.unit_bits());
    for (Index i = 0; i < row.left.count; i += 16) {
        Doubles a, b;
        sixteen(row.left.score + i, row.left.count - i, a, b);
        sum.add(rounded(a), rounded(b));
    }
    return sum.total();
}

// Scores within n standard deviations of the largest, in units of the range.
template <class T> inline void keep_top_n_sigma(Selection<T>& row, double n) {
    row.keep_from(least_finite<T>);
    const double top = 0.5 * (static_cast<double>(row.largest) / row.temperature);
    const double bottom = 0.5 * (static_cast<double>(smallest_left(row)) / row.temperature);
    const double span = top - bottom > 0 ? top - bottom : 1, number = static_cast<double>(row.left.count);
    const double unit = 1 / static_cast<double>(1ll << row.unit_bits());
    int64_t sum = sum_of(row, [&](Doubles d) { return d; }, top, span);
    const Doubles mean = broadcast(static_cast<double>(sum) * unit / number);
    sum = sum_of(row, [&](Doubles d) { return (d - mean) * (d - mean); }, top, span);
    const double farthest = n * __builtin_sqrt(static_cast<double>(sum) * unit / number);
    Index kept = 0;
    for (Index i = 0; i < row.left.count; i++) {
        const double half = 0.5 * (static_cast<double>(row.left.score[i]) / row.temperature);
        row.kept_score[kept] = row.left.score[i];
        row.kept_token[kept] = row.left.token[i];
        kept += (top - half) / span <= farthest;
    }
    row.leave(kept);
}

}  // namespace
