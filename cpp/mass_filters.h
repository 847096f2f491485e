// The filters that cut by the mass of the tokens before: top-p and typical-p.
#pragma once

#include "partition.h"
#include "selection.h"

namespace {

constexpr Index bins = 1024;
constexpr double bins_per_nat = 32;
constexpr Index least_binned = 512;

// A token stays while the mass of those before it, in descending order, is less than this.
struct Nucleus {
    int64_t total;
    double excluded;
    Nucleus(int64_t sum, double p) : total(sum), excluded((1.0 - p) * static_cast<double>(sum)) {}
    bool keeps(int64_t before) const { return before == 0 || static_cast<double>(total - before) > excluded; }
};

// Tokens so improbable that all of them together are less than half of what top-p leaves out.
template <class T> inline void leave_out_the_least(Selection<T>& row, const Nucleus& nucleus) {
    const double number = static_cast<double>(row.left.count);
    if (nucleus.excluded > 4 * number)
        row.keep_from(row.bound_of(nucleus.excluded / 2 / number / static_cast<double>(1ll << row.unit_bits())));
    else row.keep_from(-infinity<T>);
}

template <class T> inline T bin_scale(const Selection<T>& row) {
    const double scale = bins_per_nat / row.temperature;
    return static_cast<T>(scale < 1e30 ? scale : 1e30);
}
template <class T> inline Index bin_of(T score, T top, T scale) {
    const T bin = (top - score) * scale;
    return bin < static_cast<T>(bins - 1) ? static_cast<Index>(bin) : bins - 1;
}
template <class T>
inline __attribute__((always_inline)) void add_to_bins(const Selection<T>& row, Doubles a, Doubles b, Index i,
                                                       int64_t* binned) {
    double mass[16];
    store(mass, a);
    store(mass + 8, b);
    const T scale = bin_scale(row);
    const Index n = row.left.count - i < 16 ? row.left.count - i : 16;
    for (Index k = 0; k < n; k++)
        binned[bin_of(row.left.score[i + k], row.largest, scale)] += static_cast<int64_t>(mass[k]);
}
template <class T> inline Index gather_bin(const Selection<T>& row, const Offset& offset, Index bin) {
    const T scale = bin_scale(row);
    Index found = 0;
    for (Index i = 0; i < row.left.count; i++) {
        row.spare_score[found] = row.left.score[i];
        found += bin_of(row.left.score[i], row.largest, scale) == bin;
    }
    for (Index i = 0; i < found; i++) row.spare_mass[i] = row.mass_of(offset, row.spare_score[i]);
    return found;
}

template <class T> inline Cut<T> find_cut(const Selection<T>& row, const Offset& offset, const Nucleus& nucleus) {
    auto keeps = [nucleus](int64_t before) { return nucleus.keeps(before); };
    if (row.left.count < least_binned) {
        row.each_mass(offset, [&](Doubles a, Doubles b, Index i) { row.gather_masses(a, b, i); });
        for (Index i = 0; i < row.left.count; i++) row.spare_score[i] = row.left.score[i];
        return cut_among(row.spare_score, row.spare_mass, row.left.count, 0, keeps);
    }
    int64_t binned[bins] = {};
    row.each_mass(offset, [&](Doubles a, Doubles b, Index i) { add_to_bins(row, a, b, i, binned); });
    int64_t before = 0;
    Index bin = 0;
    while (nucleus.keeps(before + binned[bin]) && bin < bins - 1) before += binned[bin++];
    return cut_among(row.spare_score, row.spare_mass, gather_bin(row, offset, bin), before, keeps);
}

template <class T> inline void keep_top_p(Selection<T>& row, double p) {
    if (!(p < 1)) return;
    const Offset offset(row.temperature, row.largest);
    WholeSum sum(row.unit_bits());
    row.each_mass(offset, [&](Doubles a, Doubles b, Index) { sum.add(a, b); });
    const Nucleus nucleus(sum.total(), p);
    leave_out_the_least(row, nucleus);
    const Cut<T> cut = find_cut(row, offset, nucleus);
    row.keep_from(cut.number);
    Index equals = 0, kept = 0;
    for (Index i = 0; i < row.left.count; i++) equals += row.left.score[i] == cut.number;
    for (Index i = 0; i < row.left.count; i++) {
        row.kept_score[kept] = row.left.score[i];
        row.kept_token[kept] = row.left.token[i];
        kept += row.left.score[i] != cut.number || equals-- <= cut.equals;
    }
    row.leave(kept);
}

// Masses, and masses times offset, as whole numbers in doubles.
template <class T, class Use, class UseTerm> inline void each_term(const Selection<T>& row, Use use, UseTerm use_term) {
    const Offset offset(row.temperature, row.largest);
    const Doubles unit = broadcast(static_cast<double>(1ll << row.unit_bits())), zero = broadcast(0.0);
    const Doubles whole = broadcast(0x1.8p52);
    auto rounded = [&](Doubles x) { return (x * unit + whole) - whole; };
    auto term = [&](Doubles weight, Doubles distance) {
        return rounded(weight * select(less(zero, weight), distance, zero));
    };
    for (Index i = 0; i < row.left.count; i += 16) {
        Doubles a, b;
        sixteen(row.left.score + i, row.left.count - i, a, b);
        a = offset(a);
        b = offset(b);
        const Doubles weight_a = decided_exp(a), weight_b = decided_exp(b);
        use(rounded(weight_a), rounded(weight_b));
        use_term(term(weight_a, a), term(weight_b, b));
    }
}
// The distances from the mean, negative so that the nearest come first, beside their masses.
template <class T> inline void gather_distances(const Selection<T>& row, double mean) {
    const Offset offset(row.temperature, row.largest);
    row.each_mass(offset, [&](Doubles a, Doubles b, Index i) { row.gather_masses(a, b, i); });
    for (Index i = 0; i < row.left.count; i++) {
        const double distance = mean - offset(static_cast<double>(row.left.score[i]));
        row.spare_number[i] = -magnitude(distance);
    }
}

// Tokens whose surprise is nearest to the entropy: nearest to the mean of the scores.
template <class T> inline void keep_typical_p(Selection<T>& row, double p) {
    if (!(p < 1)) return;
    row.keep_from(-infinity<T>);
    WholeSum sum(row.unit_bits()), below(row.unit_bits());
    each_term(row, [&](Doubles a, Doubles b) { sum.add(a, b); }, [&](Doubles a, Doubles b) { below.add(a, b); });
    const double total = static_cast<double>(sum.total()), mean = static_cast<double>(below.total()) / total;
    gather_distances(row, mean);
    const double wanted = p * total;
    const Cut<double> cut = cut_among(row.spare_number, row.spare_mass, row.left.count, 0, [wanted](int64_t before) {
        return before == 0 || static_cast<double>(before) < wanted;
    });
    const Doubles middle = broadcast(mean);
    row.keep_where([middle](Doubles offset) { return absolute(middle - offset); },
                   [cut](double distance) { return distance <= -cut.number; });
    row.largest = row.left.score[0];
    for (Index i = 1; i < row.left.count; i++)
        row.largest = row.left.score[i] > row.largest ? row.left.score[i] : row.largest;
}

}  // namespace
