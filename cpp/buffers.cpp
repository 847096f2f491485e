#include "buffers.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>

#include "platform.h"

namespace softmaxlib {
namespace {

constexpr size_t huge_page = 2 << 20;
const size_t page = platform::page_size();

// Lies in front of every buffer.
struct alignas(64) Header {
    size_t bytes;  // with the header
    Header* older;
    bool reclaimable;

    char* begin() { return reinterpret_cast<char*>(this); }
    // All but the page of the header: the system may drop it, zeroed, when memory is short.
    void make_reclaimable() {
        const size_t own = bytes < 2 * huge_page ? page : huge_page;
        if (!reclaimable) platform::make_reclaimable(begin() + own, bytes - own);
        reclaimable = true;
    }
};

size_t with_header(size_t bytes) { return (bytes + sizeof(Header) + page - 1) / page * page; }

Header* map_pages(size_t bytes) {
    char* start = platform::map_pages(bytes, huge_page);
    return start ? new (start) Header{bytes, nullptr, false} : nullptr;
}

// Newest first. Whoever finds it locked, as a child after fork may for ever, does without.
std::mutex lock;
Header* kept = nullptr;
size_t kept_bytes = 0;

Header* take_kept(size_t bytes) {
    std::unique_lock<std::mutex> mine(lock, std::try_to_lock);
    if (!mine.owns_lock()) return nullptr;
    for (Header** at = &kept; *at; at = &(*at)->older) {
        Header* found = *at;
        if (found->bytes < bytes || found->bytes - bytes > bytes / 4) continue;
        *at = found->older;
        kept_bytes -= found->bytes;
        return found;
    }
    return nullptr;
}

// Frees the oldest until this many bytes are left. The caller holds the lock.
void drop_kept(size_t bytes) {
    while (kept_bytes > bytes) {
        Header** oldest = &kept;
        while ((*oldest)->older) oldest = &(*oldest)->older;
        kept_bytes -= (*oldest)->bytes;
        platform::unmap_pages(*oldest, (*oldest)->bytes);
        *oldest = nullptr;
    }
}

// Frees kept memory when the system has no more.
Header* map_or_make_room(size_t bytes) {
    if (Header* header = map_pages(bytes)) return header;
    std::unique_lock<std::mutex> mine(lock, std::try_to_lock);
    if (!mine.owns_lock()) return nullptr;
    drop_kept(0);
    return map_pages(bytes);
}

// The newest most likely are taken next: they stay as they are, for to write on reclaimable pages takes longer.
void make_older_reclaimable() {
    size_t newer = 0;
    for (Header* at = kept; at && !at->reclaimable; at = at->older) {
        newer += at->bytes;
        if (newer > most_kept_bytes() / 2) at->make_reclaimable();
    }
}

bool keep(Header* header) {
    std::unique_lock<std::mutex> mine(lock, std::try_to_lock);
    if (!mine.owns_lock() || header->bytes < least_buffer || header->bytes > most_kept_bytes()) return false;
    drop_kept(most_kept_bytes() - header->bytes);
    header->reclaimable = false;
    header->older = kept;
    kept = header;
    kept_bytes += header->bytes;
    make_older_reclaimable();
    return true;
}

size_t number_of_bytes(const char* given) {
    errno = 0;
    size_t bytes = std::strtoull(given, nullptr, 10);
    if (errno == 0 && given[strspn(given, "0123456789")] == 0) return bytes;
    throw std::invalid_argument("SOFTMAXLIB_BUFFER_BYTES must be a whole number of bytes, 0 to keep none, got '" +
                                std::string(given) + "'; unset it for the default");
}
size_t limit_of_this_machine() {
    const char* given = std::getenv("SOFTMAXLIB_BUFFER_BYTES");
    const size_t by_default = std::min<size_t>(platform::memory_size() / 16, 512 << 20);
    const size_t bytes = given && *given ? number_of_bytes(given) : by_default;
    return platform::has_pages ? bytes : 0;
}

}  // namespace

void* take_buffer(size_t bytes) {
    if (bytes > SIZE_MAX / 2) return nullptr;
    Header* header = take_kept(with_header(bytes));
    if (!header) header = map_or_make_room(with_header(bytes));
    return header ? header + 1 : nullptr;
}
void give_back_buffer(void* buffer) {
    if (!buffer) return;
    Header* header = static_cast<Header*>(buffer) - 1;
    if (!keep(header)) platform::unmap_pages(header, header->bytes);
}
void* resize_buffer(void* buffer, size_t bytes) {
    if (!buffer || bytes > SIZE_MAX / 2) return buffer ? nullptr : take_buffer(bytes);
    Header* header = static_cast<Header*>(buffer) - 1;
    size_t whole = with_header(bytes);
    if (whole <= header->bytes) {
        if (whole < header->bytes && platform::unmap_pages(header->begin() + whole, header->bytes - whole))
            header->bytes = whole;
        return buffer;
    }
    void* larger = take_buffer(bytes);
    if (!larger) return nullptr;
    memcpy(larger, buffer, header->bytes - sizeof(Header));
    give_back_buffer(buffer);
    return larger;
}
size_t most_kept_bytes() {
    static const size_t limit = limit_of_this_machine();
    return limit;
}

}  // namespace softmaxlib
