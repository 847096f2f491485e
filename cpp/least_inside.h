// The bound of a prediction set as a probability, found exactly.
#pragma once

#include "vecmath.h"

namespace {

template <class T> struct BitsOf {
    using type = uint32_t;
};
template <> struct BitsOf<double> {
    using type = uint64_t;
};

// The smallest number p, 0 or larger, with 1 - p <= threshold, or infinity: found among the bits, which rise with it.
template <class T> inline T least_inside(double threshold) {
    using Bits = typename BitsOf<T>::type;
    const auto number = [](Bits bits) {
        T p;
        memcpy(&p, &bits, sizeof(T));
        return p;
    };
    const auto inside = [&](Bits bits) { return 1 - static_cast<double>(number(bits)) <= threshold; };
    Bits low = 0, high;
    const T two = 2;
    memcpy(&high, &two, sizeof(T));
    if (!inside(high)) return infinity<T>;
    while (low < high) {
        const Bits middle = low + (high - low) / 2;
        if (inside(middle)) high = middle;
        else low = middle + 1;
    }
    return number(low);
}

}  // namespace
