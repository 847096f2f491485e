// Cross-entropy of binary logits, each by itself, in eight lanes of double.
//
// The loss is positive (1 - p)^gamma (-log p) + negative p^gamma (-log(1 - p)) for the coefficients of the two
// outcomes: all terms have one sign, so a confident logit keeps its digits. For logits of double every number is kept
// in two parts; for others one double has digits to spare.
#pragma once

#include "binary_outcomes.h"
#include "dtypes.h"

namespace {

template <class Number, bool focal> struct SigmoidLoss {
    Doubles loss, slope;

    // The coefficients are not negative; `gamma` is above 0, or not read.
    SigmoidLoss(Doubles x, Number positive, Number negative, Doubles gamma) {
        const Doubles zero = broadcast(0.0);
        const DoublesMask below = less(x, zero);
        const BinaryOutcomes<Number> of(x);
        const Number likely = of.surprise(), unlikely = of.u + likely;
        const Number p = select(below, of.small, of.large), rest = select(below, of.large, of.small);
        Number surprise = select(below, unlikely, likely), other_surprise = select(below, likely, unlikely);
        Number push = rest, other_push = p;
        if (focal) {
            const Number power = exactly(gamma, Number()), focus = decay(power * other_surprise),
                         other_focus = decay(power * surprise);
            push = focus * (rest + power * counted(p, surprise));
            other_push = other_focus * (p + power * counted(rest, other_surprise));
            surprise = counted(focus, surprise);
            other_surprise = counted(other_focus, other_surprise);
        }
        loss = (counted(positive, surprise) + counted(negative, other_surprise)).rounded();
        slope = (negative * other_push + -(positive * push)).rounded();
        // A class without weight adds nothing, for any logit.
        const DoublesMask counts = less(zero, positive.high + negative.high), number = equal(x, x);
        const Doubles unknown = select(number, zero, x);
        loss = select(counts, select(number, loss, unknown), zero);
        slope = select(counts, select(number, slope, unknown), zero);
    }

  private:
    // 0 times infinity is 0: what has no weight, or probability 0, has no surprise.
    static Number counted(Number factor, Number surprise) {
        const Number none = exactly(broadcast(0.0), Number());
        return select(equal(factor.high, none.high), none, factor * surprise);
    }
};

template <class Number, bool focal> void sigmoid_losses_of(const SigmoidLossTask& task, Index first, Index last) {
    constexpr Index some = 512;
    double x[some + 8] = {}, target[some + 8] = {}, positive[some + 8] = {}, negative[some + 8] = {},
                    gradient[some + 8];
    const auto gather_part = [](const Operand& from, Index start, Index n, double* to) {
        if (from.data)
            gather_any<double>(from.dtype, from.data + start * from.inner[0], from.inner[0], n, from.swapped, to);
    };
    const Doubles gamma = broadcast(task.focal), scale = broadcast(task.scale);
    const auto number = [](Doubles value) __attribute__((always_inline)) { return exactly(value, Number()); };
    const Number one = number(broadcast(1.0)), kept = one + number(broadcast(-task.smoothing)),
                 spread = number(broadcast(task.smoothing / 2));
    for (Index start = first; start < last; start += some) {
        const Index n = last - start < some ? last - start : some;
        gather_part(task.logits, start, n, x);
        gather_part(task.target, start, n, target);
        gather_part(task.positive, start, n, positive);
        gather_part(task.negative, start, n, negative);
        for (Index i = 0; i < n; i += 8) {
            Number wanted = number(load(target + i)), other = one + -wanted;
            if (task.smoothing != 0) {
                wanted = wanted * kept + spread;
                other = other * kept + spread;
            }
            if (task.positive.data) wanted = wanted * number(load(positive + i));
            if (task.negative.data) other = other * number(load(negative + i));
            const SigmoidLoss<Number, focal> result(load(x + i), wanted, other, gamma);
            n - i < 8 ? store_partial(task.loss + start + i, result.loss, static_cast<int>(n - i))
                      : store(task.loss + start + i, result.loss);
            if (task.gradient.data) store(gradient + i, result.slope * scale);
        }
        const Operand& to = task.gradient;
        if (to.data) scatter_any<double>(to.dtype, gradient, to.data + start * to.inner[0], to.inner[0], n, to.swapped);
    }
}
void sigmoid_losses(const SigmoidLossTask& task, Index first, Index last) {
    if (task.logits.dtype == DType::float64)
        return task.focal != 0 ? sigmoid_losses_of<Pair, true>(task, first, last)
                               : sigmoid_losses_of<Pair, false>(task, first, last);
    task.focal != 0 ? sigmoid_losses_of<Single, true>(task, first, last)
                    : sigmoid_losses_of<Single, false>(task, first, last);
}

}  // namespace
