// What each operating system does in its own way. No other file asks which one it is compiled for.
#pragma once

#include <stddef.h>

#include <cstdint>
#include <cstdio>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>
#endif
#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace softmaxlib::platform {

// Calls `fn` in every child of fork, first thing. Windows has no fork.
inline void call_in_children([[maybe_unused]] void (*fn)()) {
#if !defined(_WIN32)
    pthread_atfork(nullptr, nullptr, fn);
#endif
}

// The processors that this process may run on.
inline int processors() {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    int n = static_cast<int>(std::thread::hardware_concurrency());
    return n > 0 ? n : 1;
}

// The processor time that the control group allows, in processors rounded up; without a limit a large number.
inline int processor_quota() {
#if defined(__linux__)
    long quota = -1, period = 100000;
    if (FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
        if (std::fscanf(file, "%ld %ld", &quota, &period) != 2) quota = -1;
        std::fclose(file);
    } else if (FILE* old = std::fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "r")) {
        if (std::fscanf(old, "%ld", &quota) != 1) quota = -1;
        std::fclose(old);
    }
    if (quota > 0 && period > 0) return static_cast<int>((quota + period - 1) / period);
#endif
    return 1 << 20;
}

// The bytes of a cache for data, as the first processor has it; 0 if the system does not tell. (Linux describes each
// cache in files. What the C library says of the third level is on some processors that of all cores together.)
inline size_t cache_size([[maybe_unused]] int level) {
#if defined(__linux__)
    for (int index = 0; index < 8; index++) {
        const auto read = [&](const char* name, const char* format, auto... to) {
            char path[96];
            std::snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, name);
            FILE* file = std::fopen(path, "r");
            const bool all = file && std::fscanf(file, format, to...) == static_cast<int>(sizeof...(to));
            if (file) std::fclose(file);
            return all;
        };
        int found;
        char type[16], unit;
        unsigned long size;
        if (!read("level", "%d", &found)) break;
        if (found != level || !read("type", "%15s", type) || type[0] == 'I') continue;
        if (read("size", "%lu%c", &size, &unit)) return size << (unit == 'M' ? 20 : unit == 'K' ? 10 : 0);
    }
#endif
    return 0;
}

#if defined(__linux__)

constexpr bool has_pages = true;

inline size_t page_size() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }
inline size_t memory_size() { return static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * page_size(); }

// Pages of zeros that begin at a multiple of `alignment`, as huge pages where possible; null if there is no memory.
inline char* map_pages(size_t bytes, size_t alignment) {
    char* start = static_cast<char*>(
        mmap(nullptr, bytes + alignment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (start == MAP_FAILED) return nullptr;
    size_t head = (alignment - reinterpret_cast<size_t>(start) % alignment) % alignment;
    if (head) munmap(start, head);
    if (head < alignment) munmap(start + head + bytes, alignment - head);
    madvise(start + head, bytes, MADV_HUGEPAGE);
    return start + head;
}
inline bool unmap_pages(void* start, size_t bytes) { return munmap(start, bytes) == 0; }
// Lets the system take these pages when memory is short. They then hold zeros.
inline void make_reclaimable(char* start, size_t bytes) { madvise(start, bytes, MADV_FREE); }

#else

constexpr bool has_pages = false;

inline size_t page_size() { return 1; }
inline size_t memory_size() { return 0; }
inline char* map_pages(size_t, size_t) { return nullptr; }
inline bool unmap_pages(void*, size_t) { return false; }
inline void make_reclaimable(char*, size_t) {}

#endif

}  // namespace softmaxlib::platform
