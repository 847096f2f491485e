// The tokens that are left of a row, and sums over their scores that no order of the work changes.
#pragma once

#include "noise.h"

namespace {

// The tokens that are left, in ascending order; token == nullptr: all of them, numbered from 0.
template <class T> struct Tokens {
    const T* score;
    const uint32_t* token;
    Index count;
    uint32_t id(Index i) const { return token ? token[i] : static_cast<uint32_t>(i); }
};

// Sixteen scores as doubles, the tail filled up with -inf.
inline __attribute__((always_inline)) void sixteen(const float* p, Index n, Doubles& a, Doubles& b) {
    widen(n >= 16 ? load(p) : load_partial(p, static_cast<int>(n), -infinity<float>), a, b);
}
inline __attribute__((always_inline)) void sixteen(const double* p, Index n, Doubles& a, Doubles& b) {
    a = n >= 8 ? load(p) : load_partial(p, static_cast<int>(n), -infinity<double>);
    b = n >= 16  ? load(p + 8)
        : n <= 8 ? broadcast(-infinity<double>)
                 : load_partial(p + 8, static_cast<int>(n - 8), -infinity<double>);
}

// Scores at a temperature, less the largest of them.
struct Offset {
    double temperature, largest;
    template <class T> Offset(double t, T top) : temperature(t), largest(static_cast<double>(top) / t) {}
    double operator()(double score) const { return score / temperature - largest; }
    inline __attribute__((always_inline)) Doubles operator()(Doubles score) const {
        if (temperature == 1) return score - broadcast(largest);
        return score / broadcast(temperature) - broadcast(largest);
    }
};

// A sum of whole numbers below 2^bits in lanes of double, emptied into an integer before it could round.
class WholeSum {
    Doubles first = broadcast(0.0), second = broadcast(0.0);
    const Index room;
    Index used = 0;
    int64_t sum = 0;
    void flush() {
        double lanes[8];
        store(lanes, first + second);
        for (double lane : lanes) sum += static_cast<int64_t>(lane);
        first = second = broadcast(0.0);
        used = 0;
    }

  public:
    explicit WholeSum(int bits) : room(1l << (52 - bits)) {}
    inline __attribute__((always_inline)) void add(Doubles a, Doubles b) {
        first = first + a;
        second = second + b;
        if (++used == room) flush();
    }
    int64_t total() {
        flush();
        return sum;
    }
};

}  // namespace
