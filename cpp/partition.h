// The k-th largest, and where a running sum of masses is reached, without sorting.
#pragma once

#include <stdint.h>

#include "index.h"

namespace {

using softmaxlib::Index;

template <class T> T median_of_three(T a, T b, T c) {
    T low = a < b ? a : b, high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
}
// Reorders a[low, high): larger than the pivot, equal, smaller; gives where equals begin and end.
template <class Swap, class T>
inline void partition(const T* a, Index low, Index high, T pivot, Index& equals, Index& smaller, Swap swap) {
    equals = low;
    smaller = high;
    for (Index i = low; i < smaller;) {
        if (a[i] > pivot) swap(i++, equals++);
        else if (a[i] < pivot) swap(i, --smaller);
        else i++;
    }
}
// A pivot from places that no fixed arrangement of the input can aim at.
template <class T> inline T pivot_of(const T* a, Index low, Index high, uint64_t& state) {
    T sample[3];
    for (T& value : sample) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        value = a[low + static_cast<Index>((state >> 33) % static_cast<uint64_t>(high - low))];
    }
    return median_of_three(sample[0], sample[1], sample[2]);
}

template <class T> T kth_largest(T* a, Index n, Index k) {
    uint64_t state = static_cast<uint64_t>(n);
    Index low = 0, high = n;
    while (true) {
        T pivot = pivot_of(a, low, high, state);
        Index equals, smaller;
        partition(a, low, high, pivot, equals, smaller, [a](Index i, Index j) {
            T value = a[i];
            a[i] = a[j];
            a[j] = value;
        });
        if (k <= equals) high = equals;
        else if (k <= smaller) return pivot;
        else low = smaller;
    }
}

// The cut of a filter: scores above `number` stay, and `equals` of those equal to it.
template <class Number> struct Cut {
    Number number;
    Index equals;
};

// Among n numbers and their masses, the smallest that stays, and how many equal to it do; keeps(mass before) says which
// stay, and `before` is the mass of all that are larger than these.
template <class Number, class Keep>
inline Cut<Number> cut_among(Number* number, int64_t* mass, Index n, int64_t before, Keep keeps) {
    uint64_t state = static_cast<uint64_t>(n);
    Index low = 0, high = n;
    while (true) {
        const Number pivot = pivot_of(number, low, high, state);
        Index equals, smaller;
        partition(number, low, high, pivot, equals, smaller, [=](Index i, Index j) {
            const Number kept_number = number[i];
            const int64_t kept_mass = mass[i];
            number[i] = number[j];
            mass[i] = mass[j];
            number[j] = kept_number;
            mass[j] = kept_mass;
        });
        int64_t above = 0;
        for (Index i = low; i < equals; i++) above += mass[i];
        if (equals > low && !keeps(before + above)) {
            high = equals;
            continue;
        }
        before += above;
        Index stay = 0;
        for (Index i = equals; i < smaller && keeps(before); i++, stay++) before += mass[i];
        if (stay < smaller - equals || smaller == high || !keeps(before)) return {pivot, stay};
        low = smaller;
    }
}

}  // namespace
