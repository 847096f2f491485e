#include "row_sums.h"

#include <algorithm>

#include "exact_sum.h"

namespace softmaxlib {
namespace {

constexpr size_t chunk = 1 << 12;
constexpr int room = 13;             // bits that a sum of so many needs beyond those of one
constexpr int largest_power = 1000;  // beyond, a power to cut at could overflow

double largest_of(const double* value, size_t count) {
    constexpr size_t lanes = 8;
    double largest[lanes] = {};
    size_t i = 0;
    for (; i + lanes <= count; i += lanes)
        for (size_t j = 0; j < lanes; j++) largest[j] = std::max(largest[j], fabs(value[i + j]));
    for (; i < count; i++) largest[0] = std::max(largest[0], fabs(value[i]));
    return *std::max_element(largest, largest + lanes);
}

}  // namespace

void RowSum::put(double value) {
    if (value == 0) return;
    const Whole whole = whole_of(value);
    sums_[window_of(whole)] += within_window(whole);
}

void RowSum::cut_chunk(double* rest, size_t count) {
    int exponent = 0;
    double left = largest_of(rest, count);
    frexp(left, &exponent);
    // Two cuts, and a third where something is left, are nearly always enough.
    for (int step = 0; step < 3 && left > 0 && exponent + room <= largest_power; step++, exponent += room - 53) {
        put(cut(rest, static_cast<int64_t>(count), ldexp(1, exponent + room)));
        if (step > 0) left = largest_of(rest, count);
    }
    if (left > 0) std::for_each(rest, rest + count, [&](double value) { put(value); });
}

void RowSum::add(const double* value, size_t count) {
    double rest[chunk];
    for (size_t first = 0; first < count; first += chunk) {
        const size_t here = std::min(chunk, count - first);
        std::copy_n(value + first, here, rest);
        cut_chunk(rest, here);
    }
}

void RowSum::append_to(std::vector<KeySum>& found, int64_t key) const {
    for (int window = 0; window < most_windows; window++)
        if (sums_[window] != 0) found.push_back(key_sum(key, window, sums_[window]));
}

}  // namespace softmaxlib
