// Memory of large results, kept for the next one when it is freed: fresh pages cost more than a softmax of them, and
// the newest, which is taken first, is still in the cache.
#pragma once

#include <stddef.h>

namespace softmaxlib {

// A smaller array is left to the ordinary allocator, which keeps its pages by itself.
constexpr size_t least_buffer = 1 << 20;

// Aligned to 64 bytes; null when there is no memory. What it holds is undefined.
void* take_buffer(size_t bytes);
void give_back_buffer(void* buffer);
// The buffer itself or one with the same contents; null, and the buffer as it was, when there is no memory.
void* resize_buffer(void* buffer, size_t bytes);

// At most so many bytes are kept: SOFTMAXLIB_BUFFER_BYTES, else a sixteenth of the machine's memory and no more
// than 512 MiB. The system may take it for others, all but the newest half of that. Throws std::invalid_argument for a
// value that is no number of bytes.
size_t most_kept_bytes();

}  // namespace softmaxlib
