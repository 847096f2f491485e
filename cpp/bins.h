// Sums over the rows whose value falls into each bin.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
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
// there. Parts of positive edges may be even in the order of the doubles instead, which is about that of the
// logarithms: what leaves fewer edges in one part. The edges rise; there is one more than bins.
class BinFinder {
    const double* edge_;
    const size_t bins_;
    bool by_order_;
    uint64_t lowest_;
    int shift_;  // from a number of doubles to one of parts
    double parts_of_one_;
    std::vector<unsigned> first_;  // bin of each part
    double last_part_;

    size_t part_of(double value) const;
    size_t fill_parts();  // the most edges in one

  public:
    // Throws std::bad_alloc.
    BinFinder(const double* edges, size_t bins);
    // The number of inner edges below the value.
    size_t operator()(double value) const;
};

// Adds the rows [first, last) to the sums of each bin (e_j, e_{j + 1}], the first one with its lower end: of the
// weights, of them times the value, of them times each column; `sums` is (bins, width).
void add_to_bins(const BinnedRows& rows, const BinFinder& bin_of, size_t first, size_t last, double* sums);

// Several sets of bins of the same rows, each from the same lowest edge to the same highest one: one bin is found for
// each row, between the edges of all of them. The values are summed in the first sets; in the others rows are counted.
class BinSets {
    const BinnedRows& rows_;  // without weights; one column, of flags
    std::vector<double> edge_;
    std::unique_ptr<BinFinder> bin_of_;
    std::vector<std::vector<uint32_t>> bin_in_;  // of each set: the bin that holds one of all bins
    std::vector<size_t> first_;                  // of each set that has sums: its first one, and after the last

    size_t all() const { return edge_.size() - 1; }

  public:
    struct Edges {
        const double* edge;
        size_t bins;
    };
    // Throws std::bad_alloc.
    BinSets(const BinnedRows& rows, const std::vector<Edges>& sets, size_t summed);
    // How many numbers the sums of some rows are.
    size_t size() const { return 2 * all() + first_.back(); }
    // Adds the rows [first, last) to sums of this size.
    void add(size_t first, size_t last, double* sums) const;
    // The sums of parts of the rows, added in order, of one of the sets: what `add_to_bins` gives, as (3, bins), or
    // its rows and flags alone, (2, bins).
    void join(const double* sums, size_t parts, size_t set, size_t bins, double* out) const;
};

}  // namespace softmaxlib
