// Memory of large results, kept for the next result when it is freed. Fresh pages cost more than a softmax of them, and
// the newest memory, which is used first, is still in the cache.
#pragma once

#include <stddef.h>

namespace softmaxlib {

// Smaller arrays use the ordinary allocator, which keeps its own pages.
constexpr size_t least_buffer = 1 << 20;

// Aligned to 64 bytes, or null if there is no memory. The contents are undefined.
void* take_buffer(size_t bytes);
void give_back_buffer(void* buffer);
// Returns the buffer or another one with the same contents. If there is no memory, returns null, and the buffer does
// not change.
void* resize_buffer(void* buffer, size_t bytes);

// The most bytes to keep: SOFTMAXLIB_BUFFER_BYTES, or by default a sixteenth of the machine's memory, at most 512 MiB.
// The system may reclaim all but the newest half. Throws std::invalid_argument if the variable is not a number of
// bytes. Without pages of its own (not on Linux) it is 0.
size_t most_kept_bytes();

}  // namespace softmaxlib
