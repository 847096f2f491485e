#include "bins.h"

#include <algorithm>
#include <vector>

namespace softmaxlib {
namespace {

constexpr size_t most_guides = 8192;

// Finds bins from where they begin in even parts of 0 to 1: of edges that are about even, a step or two lead there.
class BinFinder {
    const double* edge_;
    const size_t bins_, guides_;
    std::vector<unsigned> first_;  // bin of each part

    static size_t enough(size_t bins) {
        size_t guides = 64;
        while (guides < 4 * bins && guides < most_guides) guides *= 2;
        return guides;
    }

  public:
    BinFinder(const double* edges, size_t bins)
        : edge_(edges), bins_(bins), guides_(enough(bins)), first_(guides_ + 1) {
        size_t bin = 0;
        for (size_t part = 0; part <= guides_; part++) {
            while (bin + 1 < bins_ && edge_[bin + 1] < static_cast<double>(part) / static_cast<double>(guides_)) bin++;
            first_[part] = static_cast<unsigned>(bin);
        }
    }
    // The number of inner edges below p.
    size_t operator()(double p) const {
        const double bounded = std::min(std::max(p, 0.0), 1.0);
        size_t bin = first_[static_cast<size_t>(bounded * static_cast<double>(guides_))];
        for (int step = 0; step < 8; step++) {
            if (bin + 1 >= bins_ || !(edge_[bin + 1] < p)) return bin;
            bin++;
        }
        return static_cast<size_t>(std::lower_bound(edge_ + bin + 1, edge_ + bins_, p) - (edge_ + 1));
    }
};

template <class Weight> void add(const BinnedRows& rows, const BinFinder& bin_of, double (*sums)[3], Weight weight_of) {
    for (size_t i = 0; i < rows.rows; i++) {
        double* to = sums[bin_of(rows.probability[i])];
        const double weight = weight_of(i);
        to[0] += weight;
        to[1] += weight * rows.probability[i];
        to[2] += weight * static_cast<double>(rows.outcome[i]);
    }
}

}  // namespace

void add_to_bins(const BinnedRows& rows, const double* edges, size_t bins, double (*sums)[3]) {
    const BinFinder bin_of(edges, bins);
    if (rows.weight) add(rows, bin_of, sums, [&](size_t i) { return rows.weight[i]; });
    else add(rows, bin_of, sums, [](size_t) { return 1.0; });
}

}  // namespace softmaxlib
