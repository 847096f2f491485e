// Products of a tile of turned rows with a matrix, summed over the classes in their order.
#pragma once

#include "row_tile.h"

namespace {

// put(o, sums) of the sum over the classes of weight[k * by_class + o * by_output] * x[k], for each output.
template <int outputs, class X, class Put>
inline __attribute__((always_inline)) void some_products(const X* tile, Index step, Index classes, const double* weight,
                                                         Index by_class, Index by_output, Put put) {
    Pair sum[outputs];
    for (auto& one : sum) one = Pair::all(0);
    for (Index k = 0; k < classes; k++) {
        const Pair x = widened(tile + k * step);
        for (int o = 0; o < outputs; o++) {
            const Doubles w = broadcast(weight[k * by_class + o * by_output]);
            sum[o].low = fma(x.low, w, sum[o].low);
            sum[o].high = fma(x.high, w, sum[o].high);
        }
    }
    for (int o = 0; o < outputs; o++) put(o, sum[o]);
}
template <class X, class Put>
inline void products(const X* tile, Index step, Index classes, const double* weight, Index by_class, Index by_output,
                     Index outputs, Put put) {
    constexpr int together = interleaved > 1 ? 8 : 3;  // outputs whose sums stay in registers
    Index o = 0;
    const auto from = [&](Index first) { return [&put, first](int i, const Pair& sum) { put(first + i, sum); }; };
    for (; o + together <= outputs; o += together)
        some_products<together>(tile, step, classes, weight + o * by_output, by_class, by_output, from(o));
    for (; o < outputs; o++)
        some_products<1>(tile, step, classes, weight + o * by_output, by_class, by_output, from(o));
}

}  // namespace
