// The draw: a token wins with its share of the tokens left; its noise follows from its own number.
#pragma once

#include "selection.h"

namespace {

template <class T> struct Winner {
    uint32_t token;
    T score;
};

// The largest score plus noise wins.
template <class T> struct Contest {
    const Selection<T>& row;
    const Key key;
    const Offset offset;
    double best = -infinity<double>;
    Winner<T> winner = {0, 0};

    // For the quick test: float bounds of what can still win, renewed with the best.
    float scale, shift = 0;

    Contest(const Selection<T>& selection, Key k)
        : row(selection), key(k), offset(row.temperature, row.largest),
          scale(static_cast<float>(log2_e / row.temperature)) {}

    __attribute__((noinline)) void enter(Index from, Index to) {
        for (Index i = from; i < to; i++) {
            const uint32_t token = row.left.id(i);
            const double sum = offset(static_cast<double>(row.left.score[i])) + gumbel(key, token);
            if (sum < best || (sum == best && token > winner.token)) continue;
            best = sum;
            winner = {token, row.left.score[i]};
        }
        shift = static_cast<float>(24 + 127 + 0x1p-6 - best * log2_e);
    }
    void run() {
        const Index n = row.left.count;
        enter(0, n < 16 ? n : 16);
        Index i = 16;
        for (; i + 32 <= n; i += 32)
            if (may_win(i)) enter(i, i + 32);
        if (i < n) enter(i, n);
    }
    inline __attribute__((always_inline)) void load_tokens(Index i, Words& to) const {
        if (row.left.token) {
            memcpy(&to, row.left.token + i, 64);
        } else {
            const Words count_up = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
            to = count_up + static_cast<uint32_t>(i);
        }
    }
    // Whether one of 32 tokens may beat the best so far, without a logarithm. A uniform number u gives noise
    // -log(-log u) <= -log(1 - u), so a token loses unless 1 - u <= exp(offset - best). From above, 2^y is at
    // most 1 + y between whole numbers: an integer read as the bits of a float.
    inline __attribute__((always_inline)) bool may_win(Index i) const {
        Words first[2], second[2];
        load_tokens(i, first[0]);
        load_tokens(i + 16, first[1]);
        key.scramble(first[0], second[0]);
        key.scramble(first[1], second[1]);
        Integers any = {};
        add_bounded(first[0], row.left.score + i, any);
        add_bounded(first[1], row.left.score + i + 16, any);
        uint64_t part[8];
        memcpy(part, &any, 64);
        return (part[0] | part[1] | part[2] | part[3] | part[4] | part[5] | part[6] | part[7]) != 0;
    }
    inline __attribute__((always_inline)) void add_bounded(const Words& noise, const T* from, Integers& any) const {
        Reals distance;
        distances(from, distance);
        Reals exponent = distance * scale + shift;
        exponent = exponent > 0.0f ? exponent : Reals{};
        exponent = exponent < 250.0f ? exponent : Reals{} + 250.0f;
        const Integers bits = __builtin_convertvector(exponent * 0x1p23f, Integers);
        const Integers rest = (Integers)(~noise >> 8);
        any |= __builtin_convertvector(rest, Reals) <= (Reals)bits;
    }
    inline __attribute__((always_inline)) void distances(const float* from, Reals& to) const {
        memcpy(&to, from, 64);
        to = to - row.largest;
    }
    inline __attribute__((always_inline)) void distances(const double* from, Reals& to) const {
        float lane[16];
        for (int k = 0; k < 16; k++) lane[k] = static_cast<float>(from[k] - row.largest);
        memcpy(&to, lane, 64);
    }
};

}  // namespace
