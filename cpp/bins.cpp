#include "bins.h"

#include <algorithm>

namespace softmaxlib {
namespace {

constexpr size_t most_guides = 8192;

size_t enough_guides(size_t bins) {
    size_t guides = 64;
    while (guides < 4 * bins && guides < most_guides) guides *= 2;
    return guides;
}

// `columns` is known where few are usual, so that their sums are unrolled.
template <size_t columns, class Weight>
void add(const BinnedRows& rows, const BinFinder& bin_of, size_t first, size_t last, double* sums, Weight weight_of) {
    const size_t every = columns < 3 ? columns : rows.columns;
    for (size_t i = first; i < last; i++) {
        double* to = sums + bin_of(rows.value[i]) * (2 + every);
        const double weight = weight_of(i);
        to[0] += weight;
        to[1] += weight * rows.value[i];
        for (size_t c = 0; c < every; c++) to[2 + c] += weight * rows.column[c][i];
    }
}
template <class Weight>
void add_columns(const BinnedRows& rows, const BinFinder& bin_of, size_t first, size_t last, double* sums,
                 Weight weight_of) {
    switch (rows.columns) {
        case 0: return add<0>(rows, bin_of, first, last, sums, weight_of);
        case 1: return add<1>(rows, bin_of, first, last, sums, weight_of);
        case 2: return add<2>(rows, bin_of, first, last, sums, weight_of);
        default: return add<3>(rows, bin_of, first, last, sums, weight_of);
    }
}

}  // namespace

BinFinder::BinFinder(const double* edges, size_t bins)
    : edge_(edges), bins_(bins), parts_of_one_(0), first_(enough_guides(bins) + 1),
      last_part_(static_cast<double>(first_.size() - 1)) {
    const double range = edges[bins] - edges[0];
    if (range > 0 && last_part_ / range <= 1e300) parts_of_one_ = last_part_ / range;
    // Rounding keeps the order: an edge of an earlier part than the value's lies below it.
    size_t bin = 0;
    for (size_t part = 0; part < first_.size(); part++) {
        while (bin + 1 < bins_ && part_of(edge_[bin + 1]) < part) bin++;
        first_[part] = static_cast<unsigned>(bin);
    }
}

size_t BinFinder::part_of(double value) const {
    const double place = (value - edge_[0]) * parts_of_one_;
    return static_cast<unsigned>(static_cast<int>(std::min(std::max(place, 0.0), last_part_)));
}

size_t BinFinder::operator()(double value) const {
    size_t bin = first_[part_of(value)];
    bin += static_cast<size_t>(bin + 1 < bins_) & static_cast<size_t>(edge_[bin + 1] < value);  // no branch to guess
    for (int step = 0; step < 8; step++) {
        if (bin + 1 >= bins_ || !(edge_[bin + 1] < value)) return bin;
        bin++;
    }
    return static_cast<size_t>(std::lower_bound(edge_ + bin + 1, edge_ + bins_, value) - (edge_ + 1));
}

void add_to_bins(const BinnedRows& rows, const BinFinder& bin_of, size_t first, size_t last, double* sums) {
    if (rows.weight) add_columns(rows, bin_of, first, last, sums, [&](size_t i) { return rows.weight[i]; });
    else add_columns(rows, bin_of, first, last, sums, [](size_t) { return 1.0; });
}

}  // namespace softmaxlib
