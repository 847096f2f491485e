// Sums over the rows whose probability falls into each bin.
#pragma once

#include <cstddef>

namespace softmaxlib {

struct BinnedRows {
    size_t rows;
    const double* probability;  // 0 to 1
    const bool* outcome;
    const double* weight;  // null: 1
};

// Adds to the sums of each bin (e_j, e_{j + 1}], the first one with its lower end: of the weights, of them times the
// probability, of them times the outcome. The edges rise; there is one more than bins. Throws std::bad_alloc.
void add_to_bins(const BinnedRows& rows, const double* edges, size_t bins, double (*sums)[3]);

}  // namespace softmaxlib
