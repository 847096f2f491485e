// The sigmoid of binary logits, or its logarithm, each by itself.
//
// With u = |x| and e = exp(-u),
//
//   sigmoid(x) = 1 / (1 + e), or e / (1 + e) below 0;  log_sigmoid(x) = min(x, 0) - log1p(e)
//
// Logits of double have every number in two parts, and so has the sigmoid of others, in parts that are floats. For the
// logarithm of others a double has digits to spare: e to 2^-39, log1p(e) = 2 atanh(e / (2 + e)) by a polynomial
// (minimax to 2^-37), and quotients of floats, corrected once (Newton).
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

template <class T, bool logarithm> class Sigmoid;  // changes vectors in place

template <bool logarithm> class Sigmoid<double, logarithm> {
  public:
    template <int count> inline __attribute__((always_inline)) void operator()(Doubles (&x)[count]) const {
        for (Doubles& one : x) one = of(one);
    }

  private:
    static Doubles of(Doubles x) {
        const DoublesMask below = less(x, broadcast(0.0));
        const BinaryOutcomes<Pair> outcomes(x);
        Pair result = select(below, outcomes.small, outcomes.large);
        if (logarithm) {
            const Pair likely = outcomes.surprise();
            result = -select(below, outcomes.u + likely, likely);
        }
        return select(equal(x, x), result.rounded(), x);
    }
};

template <> class Sigmoid<float, false> {
    // Exponentials come times unit, which is the one of this sum, too; results are computed `lift` times as large, so
    // that no part is subnormal, and lowered at the end.
    static constexpr float unit_high = 0x1.087452p62f, unit_low = -0x1.e2990ep36f, lift = 0x1p64f, lowered = 0x1p-64f;
    PowerTables<float> tables_;
    Floats high_, low_;

  public:
    Sigmoid() {
        const Scale<float> scale(1);
        high_ = broadcast(scale.lane_high);
        low_ = broadcast(scale.lane_low);
    }
    template <int count> inline __attribute__((always_inline)) void operator()(Floats (&x)[count]) const {
        const Floats zero = broadcast(0.0f), least = broadcast(-105.0f);
        Floats y[count], v[count], q[count];
        for (int k = 0; k < count; k++) y[k] = maximum(least, zero - absolute(x[k]));  // NaN stays
        tables_.parts(y, high_, low_, broadcast(Lanes<float>::magic), v, q);
        for (int k = 0; k < count; k++) {
            const Floats one = broadcast(unit_high), rest_of_one = broadcast(unit_low), rest = v[k] * q[k];
            const Floats h = one + v[k], l = (v[k] - (h - one)) + (rest + rest_of_one), sum = h + l;
            const Floats low_sum = sum * broadcast(lowered), lost = ((sum - h) - l) * broadcast(lowered);
            const Floats inverse = broadcast(lift) / sum;
            const FloatsMask below = less(x[k], zero);
            const Floats share = select(below, v[k], one), rest_of_share = select(below, rest, rest_of_one);
            const Floats quotient = share * inverse;
            const Floats missing = fma(quotient, lost, rest_of_share - fms(quotient, low_sum, share));
            x[k] = fma(missing, inverse, quotient) * broadcast(lowered);
        }
    }
};

template <> class Sigmoid<float, true> {
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
    template <int count> inline __attribute__((always_inline)) void operator()(Floats (&x)[count]) const {
        for (Floats& one : x) one = of(one);
    }

  private:
    inline __attribute__((always_inline)) Floats of(Floats x) const {
        const Doubles zero = broadcast(0.0), two = broadcast(2.0);
        Doubles logit[2], e[2], divisor[2], inverse[2], result[2];
        widen(x, logit[0], logit[1]);
        for (int k = 0; k < 2; k++) {
            e[k] = decay(absolute(logit[k]));
            divisor[k] = two + e[k];
        }
        widen(broadcast(1.0f) / narrow(divisor[0], divisor[1]), inverse[0], inverse[1]);
        for (int k = 0; k < 2; k++) {
            const DoublesMask below = less(logit[k], zero);
            const Doubles share = corrected(inverse[k], divisor[k]);
            result[k] = select(below, logit[k], zero) - log1p(e[k], share);
        }
        return select(equal(x, x), narrow(result[0], result[1]), x);
    }
};

// T is computed in, and S is how the result lies in memory.
template <class T, class S, bool logarithm> void sigmoid_part(const SigmoidTask& task, Index first, Index last) {
    const Sigmoid<T, logarithm> sigmoid;
    const auto result = [&](auto& v, Index) __attribute__((always_inline)) { sigmoid(v); };
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
