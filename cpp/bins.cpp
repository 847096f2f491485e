#include "bins.h"

#include <algorithm>
#include <cstring>

namespace softmaxlib {
namespace {

constexpr size_t most_guides = 8192;

size_t enough_guides(size_t bins) {
    size_t guides = 64;
    while (guides < 4 * bins && guides < most_guides) guides *= 2;
    return guides;
}

uint64_t bits_of(double positive) {
    uint64_t bits;
    std::memcpy(&bits, &positive, sizeof bits);
    return bits;
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
    : edge_(edges), bins_(bins), by_order_(false), lowest_(bits_of(edges[0])), shift_(0), parts_of_one_(0),
      first_(enough_guides(bins) + 1), last_part_(static_cast<double>(first_.size() - 1)) {
    const double range = edges[bins] - edges[0];
    if (range > 0 && last_part_ / range <= 1e300) parts_of_one_ = last_part_ / range;
    const size_t crowded = fill_parts();
    if (crowded < 2 || !(edges[0] > 0)) return;
    while ((bits_of(edges[bins]) - lowest_) >> shift_ >= first_.size()) shift_++;
    by_order_ = true;
    if (fill_parts() < crowded) return;
    by_order_ = false;
    fill_parts();
}

size_t BinFinder::fill_parts() {
    // Rounding keeps the order: an edge of an earlier part than the value's lies below it.
    size_t bin = 0, most = 0;
    for (size_t part = 0; part < first_.size(); part++) {
        const size_t before = bin;
        while (bin + 1 < bins_ && part_of(edge_[bin + 1]) < part) bin++;
        first_[part] = static_cast<unsigned>(bin);
        most = std::max(most, bin - before);
    }
    return std::max(most, bins_ - 1 - bin);
}

size_t BinFinder::part_of(double value) const {
    if (by_order_) {
        const uint64_t place = value > edge_[0] ? (bits_of(value) - lowest_) >> shift_ : 0;
        return std::min<uint64_t>(place, first_.size() - 1);
    }
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

BinSets::BinSets(const BinnedRows& rows, const std::vector<Edges>& sets, size_t summed) : rows_(rows), first_(1, 0) {
    for (const Edges& set : sets) edge_.insert(edge_.end(), set.edge, set.edge + set.bins + 1);
    std::sort(edge_.begin(), edge_.end());
    edge_.erase(std::unique(edge_.begin(), edge_.end()), edge_.end());
    if (edge_.size() < 2) edge_.push_back(edge_.front());
    bin_of_.reset(new BinFinder(edge_.data(), all()));
    for (const Edges& set : sets) {
        bin_in_.emplace_back(all());
        uint32_t bin = 0;
        for (size_t i = 0; i < all(); i++) {
            while (bin + 1 < set.bins && set.edge[bin + 1] <= edge_[i]) bin++;
            bin_in_.back()[i] = bin;
        }
        if (first_.size() <= summed) first_.push_back(first_.back() + set.bins);
    }
}

void BinSets::add(size_t first, size_t last, double* sums) const {
    constexpr size_t block = 256;  // rows whose bins are found before their values are added up
    uint32_t bin[block];
    for (size_t begin = first; begin < last; begin += block) {
        const size_t rows = std::min(block, last - begin);
        const double* const value = rows_.value + begin;
        const bool* const flag = rows_.column->flag + begin;
        for (size_t i = 0; i < rows; i++) {
            bin[i] = static_cast<uint32_t>((*bin_of_)(value[i]));
            double* const to = sums + 2 * bin[i];
            to[0] += 1.0;
            to[1] += static_cast<double>(flag[i]);
        }
        for (size_t set = 0; set + 1 < first_.size(); set++) {
            double* const to = sums + 2 * all() + first_[set];
            const uint32_t* const bin_in = bin_in_[set].data();
            for (size_t i = 0; i < rows; i++) to[bin_in[bin[i]]] += value[i];
        }
    }
}

void BinSets::join(const double* sums, size_t parts, size_t set, size_t bins, double* out) const {
    const bool has_sums = set + 1 < first_.size();
    double* const flags = out + (has_sums ? 2 : 1) * bins;
    std::fill(out, flags + bins, 0.0);
    for (size_t part = 0; part < parts; part++) {
        const double* const own = sums + part * size();
        for (size_t i = 0; i < all(); i++) {
            out[bin_in_[set][i]] += own[2 * i];
            flags[bin_in_[set][i]] += own[2 * i + 1];
        }
        for (size_t i = 0; has_sums && i < bins; i++) out[bins + i] += own[2 * all() + first_[set] + i];
    }
}

}  // namespace softmaxlib
