// Exponentials of double logits relative to the largest of their row.
#pragma once

#include "vecmath.h"

namespace {

// exp(x) of x <= 0; a result below the smallest normal number is 0.
class Decay {
    Exponential<double> exponential_;

  public:
    Decay() : exponential_(Scale<double>(1)) {
        exponential_.relative_to(Scale<double>(1), {0, 100});  // the bias is 2^100
    }
    template <int count>
    inline __attribute__((always_inline)) void of(const Doubles (&x)[count], Doubles (&result)[count]) const {
        const Doubles least = broadcast(-708.0), zero = broadcast(0.0);
        Doubles bounded[count], excess[count];
        for (int i = 0; i < count; i++) bounded[i] = maximum(least, x[i]);
        exponential_.template parts<true>(bounded, result, excess);
        for (int i = 0; i < count; i++)
            result[i] = select(less(least, x[i]), fma(result[i], excess[i], result[i]), zero);
    }
};

}  // namespace
