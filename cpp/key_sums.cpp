#include "key_sums.h"

#include <algorithm>

namespace softmaxlib {
namespace {

constexpr int64_t most_places = int64_t{1} << 21;

}  // namespace

bool sum_by_key(const int64_t* key, const double* value, size_t count, int64_t keys, std::vector<KeySum>& found) {
    int first = most_windows, last = 0;
    for (size_t i = 0; i < count; i++) {
        if (value[i] == 0) continue;
        const int window = window_of(whole_of(value[i]));
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
        sums[static_cast<size_t>(key[i] * windows + window_of(whole) - first)] += within_window(whole);
    }
    for (int64_t k = 0; k < keys; k++) {
        if (!occurs[static_cast<size_t>(k)]) continue;
        const size_t before = found.size();
        for (int64_t window = 0; window < windows; window++) {
            const Wide sum = sums[static_cast<size_t>(k * windows + window)];
            if (sum != 0) found.push_back(key_sum(k, window + first, sum));
        }
        if (found.size() == before) found.push_back({k, 0, 0, 0});
    }
    return true;
}

}  // namespace softmaxlib
