#include "key_sums.h"

#include <algorithm>
#include <cstring>

namespace softmaxlib {
namespace {

__extension__ typedef __int128 Wide;

// Exponents are taken together by 32: a significand of 53 bits is then moved by 31 at most, and 2^31 of them fit.
constexpr int window_bits = 5;
constexpr int64_t most_places = int64_t{1} << 21;

struct Whole {
    int64_t significand;
    int shift;
};
Whole whole_of(double value) {
    uint64_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const int exponent = static_cast<int>(bits >> 52 & 0x7FF);
    const int64_t fraction = static_cast<int64_t>(bits & ((uint64_t{1} << 52) - 1));
    const int64_t size = exponent ? fraction | int64_t{1} << 52 : fraction;
    return {bits >> 63 ? -size : size, exponent ? exponent - 1 : 0};
}

}  // namespace

bool sum_by_key(const int64_t* key, const double* value, size_t count, int64_t keys, std::vector<KeySum>& found) {
    int first = 1 << 11, last = 0;
    for (size_t i = 0; i < count; i++) {
        if (value[i] == 0) continue;
        const int window = whole_of(value[i]).shift >> window_bits;
        first = std::min(first, window);
        last = std::max(last, window);
    }
    const int64_t windows = std::max(1, last - first + 1);
    if (keys > most_places / windows) return false;
    std::vector<Wide> sums(static_cast<size_t>(keys * windows));
    std::vector<char> occurs(static_cast<size_t>(keys));
    for (size_t i = 0; i < count; i++) {
        occurs[static_cast<size_t>(key[i])] = 1;
        if (value[i] == 0) continue;
        const Whole whole = whole_of(value[i]);
        const int window = whole.shift >> window_bits, rest = whole.shift & ((1 << window_bits) - 1);
        sums[static_cast<size_t>(key[i] * windows + window - first)] +=
            static_cast<Wide>(whole.significand) * (int64_t{1} << rest);
    }
    for (int64_t k = 0; k < keys; k++) {
        if (!occurs[static_cast<size_t>(k)]) continue;
        const size_t before = found.size();
        for (int64_t window = 0; window < windows; window++) {
            const Wide sum = sums[static_cast<size_t>(k * windows + window)];
            if (sum == 0) continue;
            found.push_back({k, (window + first) * (1 << window_bits), static_cast<int64_t>(sum >> 64),
                             static_cast<uint64_t>(sum)});
        }
        if (found.size() == before) found.push_back({k, 0, 0, 0});
    }
    return true;
}

}  // namespace softmaxlib
