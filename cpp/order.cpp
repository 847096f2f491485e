#include "order.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace softmaxlib {
namespace {

constexpr int digit_bits = 11;
constexpr size_t digits = size_t{1} << digit_bits;
constexpr size_t few = 64;  // sorted by comparisons

// Sorts by the bits from `lowest` up, a digit at a time; `other` is as large. Where all have one digit, it is skipped.
// The sorted ones are then in the first.
void sort_by_digits(std::unique_ptr<uint64_t[]>& keys, std::unique_ptr<uint64_t[]>& other, size_t count, int lowest) {
    const int rounds = (64 - lowest + digit_bits - 1) / digit_bits;
    std::vector<size_t> counts(static_cast<size_t>(rounds) * digits);
    for (size_t i = 0; i < count; i++)
        for (int round = 0; round < rounds; round++)
            counts[static_cast<size_t>(round) * digits + (keys[i] >> (lowest + round * digit_bits)) % digits]++;
    for (int round = 0; round < rounds; round++) {
        const int shift = lowest + round * digit_bits;
        size_t *place = counts.data() + static_cast<size_t>(round) * digits, before = 0;
        if (place[(keys[0] >> shift) % digits] == count) continue;
        for (size_t digit = 0; digit < digits; digit++) {
            const size_t here = place[digit];
            place[digit] = before;
            before += here;
        }
        for (size_t i = 0; i < count; i++) other[place[(keys[i] >> shift) % digits]++] = keys[i];
        keys.swap(other);
    }
}

}  // namespace

// A key holds the upper bits of a value's rank, and below them its place, so that one number is moved and not two.
// Values whose upper bits are the same then lie side by side, in the order of their places, and are compared in full.
void rising_order(const double* values, size_t count, int64_t* places) {
    const auto less = [values](int64_t a, int64_t b) { return values[a] < values[b]; };
    if (count <= few) {
        for (size_t i = 0; i < count; i++) places[i] = static_cast<int64_t>(i);
        std::stable_sort(places, places + count, less);
        return;
    }
    int place_bits = 1;
    while ((count - 1) >> place_bits) place_bits++;
    const uint64_t place_mask = (uint64_t{1} << place_bits) - 1;
    std::unique_ptr<uint64_t[]> keys(new uint64_t[count]), other(new uint64_t[count]);
    for (size_t i = 0; i < count; i++) keys[i] = (rank_of(values[i]) & ~place_mask) | i;
    sort_by_digits(keys, other, count, place_bits);
    for (size_t i = 0; i < count; i++) places[i] = static_cast<int64_t>(keys[i] & place_mask);
    for (size_t from = 0; from < count;) {
        size_t to = from + 1;
        bool sorted = true;
        for (; to < count && keys[to] >> place_bits == keys[from] >> place_bits; to++)
            sorted &= !less(places[to], places[to - 1]);
        if (!sorted) std::stable_sort(places + from, places + to, less);
        from = to;
    }
}

}  // namespace softmaxlib
