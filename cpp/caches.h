// The sizes of the caches, and what follows from them. No result depends on them.
#pragma once

#include <algorithm>

#include "platform.h"

namespace softmaxlib {

struct Caches {
    size_t first, second, third;  // bytes of data; what a server of today has where the system does not tell
};
inline const Caches& caches() {
    static const Caches found = [] {
        const auto size = [](int level, size_t otherwise) {
            const size_t told = platform::cache_size(level);
            return told ? told : otherwise;
        };
        return Caches{size(1, 32 << 10), size(2, 1 << 20), size(3, 32 << 20)};
    }();
    return found;
}

// An output of at least this many bytes is written past the cache: it and an input of its size would fill the third
// level. (Of a very large one, which is shared by many cores, the process has a part.)
inline size_t least_streamed() { return std::clamp<size_t>(caches().third / 16 * 7, 2 << 20, 14 << 20); }

}  // namespace softmaxlib
