// Sums over the first rows in rising order of their values, at a few ranks, without sorting the rows.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bins.h"

namespace softmaxlib {

struct RankedRows {
    size_t count;
    const double* value;  // none of them NaN
    BinnedColumn column;  // that is summed
};

// Results, one for each rank.
struct RankSums {
    double* value;  // of the row of that rank
    int64_t* rows;  // how many rows come first, this one and, of whole ties, all of its value counted
    double* sum;    // of their column
};

// Takes ranks in rising order, from 0 and below the count. Rows of one value are in the order of their places.
// Returns a number of different values that there are at least. Throws std::bad_alloc.
size_t sum_to_ranks(const RankedRows& rows, const int64_t* ranks, size_t count, bool whole_ties, const RankSums& sums,
                    int threads);

}  // namespace softmaxlib
