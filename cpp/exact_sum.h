// The sum of very many numbers, the same in any order.
#pragma once

#include <math.h>
#include <stdint.h>

#include <algorithm>
#include <vector>

namespace softmaxlib {

// The sum of finite numbers, rounded once (Shewchuk, "Adaptive precision floating-point arithmetic", 1997).
inline double correctly_rounded_sum(const double* values, int64_t count) {
    std::vector<double> partials;
    for (int64_t k = 0; k < count; k++) {
        double x = values[k];
        size_t kept = 0;
        for (double y : partials) {
            if (fabs(x) < fabs(y)) std::swap(x, y);
            double high = x + y, low = y - (high - x);
            if (low != 0) partials[kept++] = low;
            x = high;
        }
        partials.resize(kept);
        partials.push_back(x);
    }
    double high = 0, low = 0;
    size_t left = partials.size();
    if (left > 0) high = partials[--left];
    while (left > 0 && low == 0) {
        double x = high, y = partials[--left];
        high = x + y;
        low = y - (high - x);
    }
    // Half way between two numbers, the remainder decides which of the two is nearer.
    if (left > 0 && ((low < 0 && partials[left - 1] < 0) || (low > 0 && partials[left - 1] > 0))) {
        double doubled = low * 2, away = high + doubled;
        if (doubled == away - high) high = away;
    }
    return high;
}

// Adds up the leading bits of the numbers, down to those of 1 in `power`, and takes them off: no step rounds. The cut
// is at a bit that is the same for all (Rump, Ogita & Oishi, "Accurate floating-point summation", 2008).
inline double cut(double* values, int64_t count, double power) {
    constexpr int lanes = 8;
    double totals[lanes] = {};
    int64_t k = 0;
    for (; k + lanes <= count; k += lanes) {
        for (int j = 0; j < lanes; j++) {
            double leading = (values[k + j] + power) - power;
            totals[j] += leading;
            values[k + j] -= leading;
        }
    }
    for (; k < count; k++) {
        double leading = (values[k] + power) - power;
        totals[0] += leading;
        values[k] -= leading;
    }
    double total = 0;
    for (double one : totals) total += one;
    return total;
}

// The powers that numbers up to `largest` are cut at; each leaves room for the sum of them all.
inline std::vector<double> powers_to_cut_at(double largest, int64_t count) {
    constexpr double resolved = 0x1p-75;  // of the largest
    const int room = 64 - __builtin_clzll(static_cast<uint64_t>(count)) + 1;
    int exponent;
    frexp(largest, &exponent);
    std::vector<double> powers;
    double power = ldexp(1, exponent + room);
    do {
        powers.push_back(power);
        power *= ldexp(1, room - 53);
    } while (powers.back() * static_cast<double>(count) * 0x1p-53 > resolved * largest);
    return powers;
}

// The sum rounded once (to 2^-75 of the largest). With infinities or NaN it is what adding the numbers up gives.
inline double exact_sum(const double* values, int64_t count) {
    constexpr int64_t few = 512, block = 1 << 12;
    if (count == 1) return values[0] + 0.0;  // which has no sign where it is zero
    double largest = 0, naive = 0;
    for (int64_t k = 0; k < count; k++) {
        naive += values[k];
        largest = std::max(largest, fabs(values[k]));
    }
    if (!isfinite(naive)) return naive;
    if (count <= few || largest == 0 || largest >= 0x1p900) return correctly_rounded_sum(values, count);
    const std::vector<double> powers = powers_to_cut_at(largest, count);
    std::vector<double> totals(powers.size());
    double rest[block];
    for (int64_t start = 0; start < count; start += block) {
        const int64_t here = std::min(block, count - start);
        std::copy(values + start, values + start + here, rest);
        for (size_t i = 0; i < powers.size(); i++) totals[i] += cut(rest, here, powers[i]);
    }
    return correctly_rounded_sum(totals.data(), static_cast<int64_t>(totals.size()));
}

}  // namespace softmaxlib
