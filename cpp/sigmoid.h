// The sigmoid of binary logits, or its logarithm, each by itself.
//
// Logits of double have every number in two parts. For others a double has digits to spare: with u = |x| and
// e = exp(-u) to 2^-39, quotients are those of floats, corrected once (Newton), and
//
//   sigmoid(x) = 1 / (1 + e), or e / (1 + e) below 0;  log_sigmoid(x) = min(x, 0) - log1p(e)
//   log1p(e) = 2 atanh(s), s = e / (2 + e), by a polynomial in s^2 <= 1/9 (minimax to 2^-37)
#pragma once

#include "binary_outcomes.h"
#include "dtypes.h"
#include "rows.h"

namespace {

template <int count> inline Doubles polynomial(const double (&terms)[count], Doubles x) {
    Doubles sum = broadcast(terms[0]);
    for (int k = 1; k < count; k++) sum = fma(x, sum, broadcast(terms[k]));
    return sum;
}

template <class T, bool logarithm> struct Sigmoid;

template <bool logarithm> struct Sigmoid<double, logarithm> {
    Doubles operator()(Doubles x) const {
        const DoublesMask below = less(x, broadcast(0.0));
        const BinaryOutcomes<Pair> of(x);
        Pair result = select(below, of.small, of.large);
        if (logarithm) {
            const Pair likely = of.surprise();
            result = -select(below, of.u + likely, likely);
        }
        return select(equal(x, x), result.rounded(), x);
    }
};

template <bool logarithm> class Sigmoid<float, logarithm> {
    DoublesTable eighths_;

    // exp(-u) for u >= 0, to 2^-39; above 128, where floats have none, as at 128.
    inline __attribute__((always_inline)) Doubles decay(Doubles u) const {
        constexpr double slope[] = {0x1.5d8d5132e872bp-10, 0x1.3b316f3f34b5cp-7, 0x1.c6b08d64f35a0p-5,
                                    0x1.ebfbdfdb8bcaep-3, 0x1.62e42fefa39efp-1};
        const Doubles scale = broadcast(-0x1.71547652b82fep+0), magic = broadcast(Lanes<double>::magic);
        u = minimum(u, broadcast(128.0));
        const Doubles n = fma(u, scale, magic), t = fms(u, scale, n - magic);
        const Doubles power = add_exponent(lookup(eighths_, n), n);
        return fma(power * t, polynomial(slope, t), power);
    }
    // 1 / y, from what it is as a float.
    static Doubles corrected(Doubles inverse, Doubles y) { return fma(inverse, broadcast(1.0) - y * inverse, inverse); }
    static Doubles log1p(Doubles e, Doubles inverse) {
        constexpr double terms[] = {0x1.bfb4561e8dc48p-3, 0x1.5eab67b0d884cp-3, 0x1.c8cf1b3455de3p-3,
                                    0x1.2489ae158dab2p-2, 0x1.9999c2d1aee49p-2, 0x1.5555553081220p-1,
                                    0x1.0000000002acdp+1};
        const Doubles s = e * inverse;
        return s * polynomial(terms, s * s);
    }

  public:
    Sigmoid() {
        double entries[8];
        for (int i = 0; i < 8; i++) entries[i] = bits_minus(Lanes<double>::value[i], i);
        eighths_ = load_table(entries);
    }
    inline __attribute__((always_inline)) Floats operator()(Floats x) const {
        const Doubles zero = broadcast(0.0), added = broadcast(logarithm ? 2.0 : 1.0);
        Doubles logit[2], e[2], divisor[2], inverse[2], result[2];
        widen(x, logit[0], logit[1]);
        for (int k = 0; k < 2; k++) {
            e[k] = decay(absolute(logit[k]));
            divisor[k] = added + e[k];
        }
        widen(broadcast(1.0f) / narrow(divisor[0], divisor[1]), inverse[0], inverse[1]);
        for (int k = 0; k < 2; k++) {
            const DoublesMask below = less(logit[k], zero);
            const Doubles share = corrected(inverse[k], divisor[k]);
            if (logarithm) result[k] = select(below, logit[k], zero) - log1p(e[k], share);
            else result[k] = select(below, e[k] * share, share);
        }
        return select(equal(x, x), narrow(result[0], result[1]), x);
    }
};

// T is computed in, and S is how the result lies in memory.
template <class T, class S, bool logarithm> void sigmoid_part(const SigmoidTask& task, Index first, Index last) {
    const Sigmoid<T, logarithm> sigmoid;
    const auto result = [&](auto& v, Index) __attribute__((always_inline)) {
        for (auto& one : v) one = sigmoid(one);
    };
    S* const out = reinterpret_cast<S*>(task.output) + first;
    const char* const in = task.input.data + first * task.input.inner[0];
    const Index n = last - first;
    if (task.input.dtype == own_type<S> && !task.input.swapped)
        return map<T>(reinterpret_cast<const S*>(in), out, n, task.stream, nullptr, 0, result);
    constexpr Index some = 512;
    T buffer[some];
    for (Index i = 0; i < n; i += some) {
        const Index here = n - i < some ? n - i : some;
        gather_any(task.input.dtype, in + i * task.input.inner[0], task.input.inner[0], here, task.input.swapped,
                   buffer);
        map<T>(buffer, out + i, here, task.stream, nullptr, 0, result);
    }
}
template <bool logarithm> void sigmoid_of(const SigmoidTask& task, Index first, Index last) {
    switch (task.type) {
        case DType::float16: return sigmoid_part<float, Half, logarithm>(task, first, last);
        case DType::bfloat16: return sigmoid_part<float, Bfloat, logarithm>(task, first, last);
        case DType::float32: return sigmoid_part<float, float, logarithm>(task, first, last);
        default: return sigmoid_part<double, double, logarithm>(task, first, last);
    }
}
void sigmoid(const SigmoidTask& task, Index first, Index last) {
    task.logarithm ? sigmoid_of<true>(task, first, last) : sigmoid_of<false>(task, first, last);
    fence();
}

}  // namespace
