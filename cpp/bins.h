// Sums over the rows whose value falls into each bin.
#pragma once

#include <cstddef>
#include <vector>

namespace softmaxlib {

// One more number a row that is summed: a double, or a flag. One of the two is null.
struct BinnedColumn {
    const double* number;
    const bool* flag;
    double operator[](size_t row) const { return flag ? static_cast<double>(flag[row]) : number[row]; }
};

struct BinnedRows {
    const double* value;
    const double* weight;  // null: 1
    const BinnedColumn* column;
    size_t columns;

    size_t width() const { return 2 + columns; }
};

// Finds bins from where they begin in even parts of their range: of edges that are about even, a step or two lead
// there. The edges rise; there is one more than bins.
class BinFinder {
    const double* edge_;
    const size_t bins_;
    double parts_of_one_;
    std::vector<unsigned> first_;  // bin of each part
    double last_part_;

    size_t part_of(double value) const;

  public:
    // Throws std::bad_alloc.
    BinFinder(const double* edges, size_t bins);
    // The number of inner edges below the value.
    size_t operator()(double value) const;
};

// Adds the rows [first, last) to the sums of each bin (e_j, e_{j + 1}], the first one with its lower end: of the
// weights, of them times the value, of them times each column; `sums` is (bins, width).
void add_to_bins(const BinnedRows& rows, const BinFinder& bin_of, size_t first, size_t last, double* sums);

}  // namespace softmaxlib
