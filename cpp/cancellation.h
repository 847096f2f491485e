// logsumexp where maximum and logarithm nearly cancel: the sum of exponentials is near one, and the result
// is its distance from one. First with exponentials to 2^-57, then with fractions of 180 bits.
#pragma once

#include "fraction.h"
#include "row_state.h"

namespace {

// Sum of exp(x) - 1 over a row of numbers below zero, to 2^-57.
inline Total sum_minus_one(const Task& task, Index row) {
    Scale<double> scale(1);
    Exponential<double> exponential(scale);
    exponential.relative_to(scale, no_reference<double>);
    Total total = {-1, 0};
    each_chunk_of_row(task, row, [&](const double* x, Index n) {
        total = total +
                sum_exponentials<double, false, Range::any>(x, n, exponential, {}).total() * (1 / Lanes<double>::bias);
    });
    return total;
}

// The same to 2^-150 of its two cancelling parts, exp(maximum) - 1 and the rest, whose size `parts` tells.
// Where both are small they are counted in units of 2^-unit.
inline Total exact_sum_minus_one(const Task& task, Index row, double maximum, double parts) {
    uint64_t bits;
    memcpy(&bits, &parts, 8);
    Index unit = 1021 - static_cast<Index>(bits >> 52);  // parts * 2^unit lies in [0.25, 0.5)
    bool apart = unit > 8;
    FractionSum sum;
    if (!apart) {
        unit = 0;
        sum.subtract(inverse_factorial[0]);
    }
    each_chunk_of_row(task, row, [&](const double* x, Index n) {
        for (Index i = 0; i < n; i++) {
            const double logit = first_of(x + i);
            if (!(logit > -1000 && logit <= 0)) continue;  // another thread may have written what it likes
            if (apart && logit == maximum) {
                sum.subtract(fraction_of(-maximum, unit) * falling_slope(fraction_of(-maximum, 0)));
                continue;
            }
            Index power;
            Fraction share = falling_power(-logit, power);
            if (power >= unit && power - unit < 192) sum.add(lowered(share, power - unit));
        }
    });
    return sum.value() * exp2(-static_cast<double>(unit), 0);
}

// The smallest |sum - 1| whose logarithm the first sum gives within the bound.
template <class T> constexpr double resolved = sizeof(T) == 4 ? 0x1p-28 : 0x1p-3;
// Where |maximum + log| is at least so large a part of the logarithm, their plain sum is within the bound.
template <class T> constexpr double cancelled = sizeof(T) == 4 ? 0.25 : 1;

// logsumexp of a row, from its maximum and the logarithm of the rest: log(1 + sum of the others relative to it).
template <class T> inline T log_sum(const Task& task, Index row, double maximum, double log_total) {
    if (!is_finite(maximum)) return static_cast<T>(maximum);
    double sum = maximum + log_total;
    if (maximum >= 0 || magnitude(sum) >= cancelled<T> * log_total) return static_cast<T>(sum);
    Total difference = sum_minus_one(task, row);
    if (magnitude(difference.high) < resolved<T>) {
        double parts = log_total > -maximum ? log_total : -maximum;
        difference = exact_sum_minus_one(task, row, maximum, parts);
    }
    if (difference.high >= 0) return static_cast<T>(log1p(difference).high);
    // log(1 - d) = -log(1 + d / (1 - d))
    Total below = difference * -1.0, whole = Total{1, 0} + difference;
    double ratio = below.high / whole.high;
    double rest = (fused(-ratio, whole.high, below.high) + (below.low - ratio * whole.low)) / whole.high;
    return static_cast<T>(-log1p(Total{ratio, rest}).high);
}

}  // namespace
