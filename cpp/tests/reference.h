// softmax, log_softmax and logsumexp to some 60 bits (x86: long double) or 110 (elsewhere long double has as many).
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "numbers.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#include <quadmath.h>
#define SOFTMAXLIB_QUAD 1
#endif

namespace driver {

using Wide = long double;

inline void two_sum(Wide a, Wide b, Wide& sum, Wide& lost) {
    sum = a + b;
    Wide part = sum - a;
    lost = (a - (sum - part)) + (b - part);
}

// (x - maximum) / temperature in two parts. What is below -20000 gives zero everywhere.
inline void scaled(double x, double maximum, double temperature, Wide& high, Wide& low) {
    Wide difference, lost;
    two_sum(x, -static_cast<Wide>(maximum), difference, lost);
    high = difference / temperature;
    low = high > -20000 ? lost : 0;
    if (temperature == 1 || low != lost) return;
    low = (std::fma(-high, static_cast<Wide>(temperature), difference) + lost) / temperature;
}

// The logarithm again where it cancels; false where even quadruple precision does not hold enough digits.
inline bool cancelled_log_sum(const double* x, Index n, double maximum, Wide& result) {
#if defined(SOFTMAXLIB_QUAD)
    __float128 sum = expm1q(maximum), size = -sum;
    bool left_out = false;
    for (Index i = 0; i < n; i++) {
        if (!left_out && x[i] == maximum) left_out = true;
        else sum += expq(x[i]);
    }
    result = static_cast<Wide>(log1pq(sum));
    return fabsq(sum) > size * static_cast<__float128>(0x1p-48);
#else
    (void)x, (void)n, (void)maximum;
    return std::fabs(result) > 0x1p-48L;
#endif
}

// What the three functions of one row share.
struct Parts {
    double maximum;
    std::vector<Wide> high, low, power;
    Wide others = 0, log_total;

    Parts(const double* x, Index n, double temperature)
        : maximum(*std::max_element(x, x + n)), high(n), low(n), power(n) {
        bool left_out = false;
        for (Index i = 0; i < n; i++) {
            scaled(x[i], maximum, temperature, high[i], low[i]);
            power[i] = high[i] > -20000 ? std::exp(high[i]) * (1 + low[i]) : 0;
            if (!left_out && x[i] == maximum) left_out = true;
            else others += power[i];
        }
        log_total = std::log1p(others);
    }
};

// False where the reference does not know.
inline bool reference(Function function, const Parts& parts, const double* x, Index n, DType type,
                      std::vector<Wide>& out) {
    if (function == Function::logsumexp) {
        Wide result = parts.maximum + parts.log_total;
        bool known = true;
        if (std::fabs(result) < std::fabs(parts.maximum) * std::ldexp(1.0L, format_of(type).digits - 58))
            known = cancelled_log_sum(x, n, parts.maximum, result);
        out.assign(1, result);
        return known;
    }
    out.resize(n);
    for (Index i = 0; i < n; i++)
        out[i] = function == Function::softmax ? parts.power[i] / (1 + parts.others)
                                               : (parts.high[i] - parts.log_total) + parts.low[i];
    return true;
}

inline bool is_subnormal(Wide exact, DType type) { return std::fabs(exact) < std::ldexp(1.0L, format_of(type).least); }

inline double error_in_ulp(double actual, Wide exact, DType type) {
    Format format = format_of(type);
    Wide most = std::ldexp(1.0L, format.most + 1), half_place = std::ldexp(1.0L, format.most - format.digits);
    if (std::fabs(exact) >= most - half_place) exact = exact < 0 ? -INFINITY : INFINITY;
    if (actual == exact) return 0;
    if (!std::isfinite(actual) || !std::isfinite(exact)) return INFINITY;
    int exponent = exact == 0 ? format.least : std::max(std::ilogb(exact), format.least);
    return static_cast<double>(std::fabs(actual - exact) / std::ldexp(1.0L, exponent - format.digits + 1));
}

}  // namespace driver
