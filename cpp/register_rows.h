// softmax of very short rows that lie one after the other: sixteen rows are turned, computed and turned back in
// registers. Sixteen rows of K floats are K vectors, so memory is read and written in whole vectors.
#pragma once

#include "short_rows.h"

namespace {

// The floats of sixteen rows of K, in K vectors, turned to K vectors of one class each, and back. Let K be q times a
// power of two, q odd: a row is q units of so many floats. Rows that fill q vectors have their units of one number at
// different places in them, because q is odd: blends collect them. What is left is to turn squares.
template <int K, class Lanes = Permutations> struct Turned {
    static constexpr int unit = K & -K, q = K / unit, rows = 16 / unit;  // of q vectors
    struct Indices {
        alignas(64) int lane[16];
    };
    static constexpr int place(int row, int number) { return (q * row + number) % rows; }
    static constexpr int vector_of(int row, int number) { return (q * row + number) / rows; }
    // The lanes of vector j that belong to units of this number.
    static constexpr unsigned mask(int number, int j) {
        unsigned found = 0;
        for (int r = 0; r < rows; r++)
            if (vector_of(r, number) == j) found |= ((1u << unit) - 1) << (unit * place(r, number));
        return found;
    }
    // Where the element of a row lies in a vector of units of this number, of `wide` columns.
    static constexpr int lane_of(int wide, int row, int column, int number) {
        return (wide == unit ? place(row, number) : row) * wide + column;
    }
    // Two vectors of `wide` columns become two of twice as many rows: that of one half of the columns.
    static constexpr Indices halved(int wide, int half, int number) {
        Indices indices = {};
        const int few = 16 / wide, narrow = wide / 2;
        for (int row = 0; row < 2 * few; row++)
            for (int e = 0; e < narrow; e++)
                indices.lane[row * narrow + e] = row / few * 16 + lane_of(wide, row % few, half * narrow + e, number);
        return indices;
    }
    static constexpr Indices joined(int wide, int which, int number) {
        Indices indices = {};
        const int few = 16 / wide, narrow = wide / 2;
        for (int row = 0; row < few; row++)
            for (int column = 0; column < wide; column++)
                indices.lane[lane_of(wide, row, column, number)] =
                    column / narrow * 16 + (which * few + row) * narrow + column % narrow;
        return indices;
    }
    // Of rows of an odd number of floats.
    static constexpr Indices in_order(int number) {
        Indices indices = {};
        for (int row = 0; row < 16; row++) indices.lane[row] = place(row, number);
        return indices;
    }
    static constexpr Indices out_of_order(int number) {
        Indices indices = {};
        for (int row = 0; row < 16; row++) indices.lane[place(row, number)] = row;
        return indices;
    }

    template <int wide, int number> static inline __attribute__((always_inline)) void turn(Floats (&v)[unit]) {
        if constexpr (wide == 1) {
            if constexpr (unit == 1) {
                static constexpr Indices order = in_order(number);
                v[0] = Lanes::pick(v[0], order.lane, v[0]);
            }
        } else {
            static constexpr Indices first = halved(wide, 0, number), second = halved(wide, 1, number);
            // v[b + s] for rows s of the columns block b: pairs of neighbours s.
            constexpr int blocks = unit / wide;
            Floats w[unit];
            for (int b = 0; b < blocks; b++)
                for (int s = 0; s < wide; s += 2) {
                    const Floats one = v[b * wide + s], two = v[b * wide + s + 1];
                    w[(2 * b) * (wide / 2) + s / 2] = Lanes::pick(one, first.lane, two);
                    w[(2 * b + 1) * (wide / 2) + s / 2] = Lanes::pick(one, second.lane, two);
                }
            for (int i = 0; i < unit; i++) v[i] = w[i];
            turn<wide / 2, number>(v);
        }
    }
    template <int wide, int number> static inline __attribute__((always_inline)) void turn_back(Floats (&v)[unit]) {
        if constexpr (wide == 1) {
            if constexpr (unit == 1) {
                static constexpr Indices order = out_of_order(number);
                v[0] = Lanes::pick(v[0], order.lane, v[0]);
            }
        } else {
            turn_back<wide / 2, number>(v);
            static constexpr Indices first = joined(wide, 0, number), second = joined(wide, 1, number);
            constexpr int blocks = unit / wide;
            Floats w[unit];
            for (int b = 0; b < blocks; b++)
                for (int s = 0; s < wide; s += 2) {
                    const Floats one = v[(2 * b) * (wide / 2) + s / 2], two = v[(2 * b + 1) * (wide / 2) + s / 2];
                    w[b * wide + s] = Lanes::pick(one, first.lane, two);
                    w[b * wide + s + 1] = Lanes::pick(one, second.lane, two);
                }
            for (int i = 0; i < unit; i++) v[i] = w[i];
        }
    }
    template <int number, int j>
    static inline __attribute__((always_inline)) void collect(const Floats (&in)[K], Floats (&v)[unit]) {
        if constexpr (j < q) {
            constexpr unsigned lanes = mask(number, j);
            for (int s = 0; s < unit; s++) v[s] = j ? Lanes::template blend<lanes>(v[s], in[s * q + j]) : in[s * q];
            collect<number, j + 1>(in, v);
        }
    }
    template <int number, int j>
    static inline __attribute__((always_inline)) void spread(const Floats (&v)[unit], Floats (&out)[K]) {
        if constexpr (j < q) {
            constexpr unsigned lanes = mask(number, j);
            for (int s = 0; s < unit; s++)
                out[s * q + j] = number ? Lanes::template blend<lanes>(out[s * q + j], v[s]) : v[s];
            spread<number, j + 1>(v, out);
        }
    }
    template <int number = 0>
    static inline __attribute__((always_inline)) void to_columns(const Floats (&in)[K], Floats (&columns)[K]) {
        if constexpr (number < q) {
            Floats v[unit];
            collect<number, 0>(in, v);
            turn<unit, number>(v);
            for (int e = 0; e < unit; e++) columns[number * unit + e] = v[e];
            to_columns<number + 1>(in, columns);
        }
    }
    template <int number = 0>
    static inline __attribute__((always_inline)) void to_rows(const Floats (&columns)[K], Floats (&out)[K]) {
        if constexpr (number < q) {
            Floats v[unit];
            for (int e = 0; e < unit; e++) v[e] = columns[number * unit + e];
            turn_back<unit, number>(v);
            spread<number, 0>(v, out);
            to_rows<number + 1>(columns, out);
        }
    }
};

// Two groups of rows, whose dependent operations overlap. False where a row needs the longer way: no results are
// written then.
template <int K>
inline __attribute__((always_inline)) bool softmax_in_registers(const Scale<float>& scale,
                                                                const Exponential<float>& any, const float* from,
                                                                float* to, bool streams) {
    constexpr int groups = 2, together = 2;
    // (Loops over them would be unrolled too late for their arrays to become registers.)
    const auto each_group = [](auto fn) __attribute__((always_inline)) {
        fn(0);
        fn(1);
    };
    Floats in[groups][K], x[groups][K], excess[groups][K];
    Exponential<float> exponential[groups];
    Range range = Range::close;
    bool numbers = true;
    each_group([&](int g) __attribute__((always_inline)) {
        for (int k = 0; k < K; k++) in[g][k] = load(from + (g * K + k) * 16);
        Turned<K>::to_columns(in[g], x[g]);
        Floats top = x[g][0], bottom = x[g][0], offset, power;
        for (int k = 1; k < K; k++) {
            top = maximum(top, x[g][k]);
            bottom = minimum(bottom, x[g][k]);
        }
        exponential[g] = relative_to_lanes(scale, any, top, offset, power);
        range = wider(range, range_of(any, top, bottom, offset));
    });
    if (range == Range::any) return false;
    Accumulator<float> sum[groups];
    const auto take = [&](int k, auto several, auto range) __attribute__((always_inline)) {
        constexpr int count = decltype(several)::value;
        each_group([&](int g) __attribute__((always_inline)) {
            Floats v[count], value[count], rest[count];
            for (int i = 0; i < count; i++) v[i] = x[g][k + i];
            exponential[g].template parts<true>(v, value, rest);
            for (int i = 0; i < count; i++) {
                sum[g].template add<decltype(range)::value>(value[i], rest[i]);
                x[g][k + i] = value[i];
                excess[g][k + i] = rest[i];
            }
            if ((k + count) % until_settled == 0 || k + count == K) sum[g].settle();
        });
    };
    with_range<float>(range, [&](auto range) __attribute__((always_inline)) {
        for (int k = 0; k + together <= K; k += together) take(k, Count<together>(), range);
        if constexpr (K % together != 0) take(K - 1, Count<1>(), range);
    });
    Normalizer<float, true> normalizer[groups];
    each_group([&](int g) __attribute__((always_inline)) {
        WideFloats wide;
        sum[g].flush(wide);
        normalizer[g] = normalizer_of_lanes<true>(wide);
        numbers &= count(equal(normalizer[g].high, normalizer[g].high)) == 16;
    });
    if (!numbers) return false;
    each_group([&](int g) __attribute__((always_inline)) {
        for (int k = 0; k < K; k++) x[g][k] = normalizer[g].of(x[g][k], excess[g][k]);
        Turned<K>::to_rows(x[g], in[g]);
        for (int k = 0; k < K; k++) {
            float* at = to + (g * K + k) * 16;
            streams ? stream(at, in[g][k]) : store(at, in[g][k]);
        }
    });
    return true;
}

// So many pairs of groups of rows of K classes. Returns how many are done, up to the first that needs the longer way.
template <int K>
Index pairs_in_registers(const Scale<float>& scale, const Exponential<float>& exponential, const float* from, float* to,
                         Index pairs, bool streams) {
    for (Index pair = 0; pair < pairs; pair++)
        if (!softmax_in_registers<K>(scale, exponential, from + pair * 32 * K, to + pair * 32 * K, streams))
            return pair;
    return pairs;
}

// The function for rows of so many classes, or null where there is none: without such permutations, or where these
// take longer than turning four classes at a time.
using PairsInRegisters = Index (*)(const Scale<float>&, const Exponential<float>&, const float*, float*, Index, bool);
template <bool exists = Permutations::exist> inline PairsInRegisters pairs_in_registers_of(Index classes) {
    if constexpr (exists) {
        switch (classes) {
            case 2: return pairs_in_registers<2>;
            case 3: return pairs_in_registers<3>;
            case 4: return pairs_in_registers<4>;
            case 5: return pairs_in_registers<5>;
            case 6: return pairs_in_registers<6>;
            case 7: return pairs_in_registers<7>;
            case 8: return pairs_in_registers<8>;
            case 10: return pairs_in_registers<10>;
            case 12: return pairs_in_registers<12>;
            case 14: return pairs_in_registers<14>;
            default: break;
        }
    }
    return nullptr;
}

}  // namespace
