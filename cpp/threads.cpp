#include "threads.h"

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include "kernels.h"

#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif
#if !defined(_WIN32)
#include <pthread.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace softmaxlib {
namespace {

inline void pause_briefly() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// The kernels assume round-to-nearest and subnormals; a process may have been set otherwise.
class StandardArithmetic {
#if defined(__x86_64__)
    unsigned saved_ = _mm_getcsr();

  public:
    StandardArithmetic() { _mm_setcsr(0x1f80); }
    ~StandardArithmetic() { _mm_setcsr(saved_); }
#elif defined(__aarch64__)
    unsigned long saved_;

  public:
    StandardArithmetic() {
        asm volatile("mrs %0, fpcr" : "=r"(saved_));
        asm volatile("msr fpcr, %0" : : "r"(0ul));
    }
    ~StandardArithmetic() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }
#else
  public:
    StandardArithmetic() {}
    ~StandardArithmetic() {}
#endif
};

class Scratch {
    void* memory_ = nullptr;

  public:
    Scratch() = default;
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch() { std::free(memory_); }
    void* get() {
        if (!memory_) memory_ = std::aligned_alloc(64, (scratch_bytes + 63) / 64 * 64);
        return memory_;
    }
};

int quota_threads() {
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

int processors() {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    int n = static_cast<int>(std::thread::hardware_concurrency());
    return n > 0 ? n : 1;
}

class Pool {
    // The gate: generation in the high half, an open bit, and the number of workers inside.
    static constexpr unsigned long long open_bit = 1ull << 31, one_generation = 1ull << 32;
    std::atomic<unsigned long long> gate_{0};
    std::atomic<long> next_{0};
    std::atomic<int> places_{0}, sleepers_{0};
    std::atomic<bool> stop_{false};
    Work work_{};
    std::mutex busy_, sleep_;
    std::condition_variable wake_;
    int workers_ = 0;

    void take_units(void* scratch) {
        for (long i; !stop_.load(std::memory_order_relaxed) && (i = next_.fetch_add(1)) < work_.units;)
            work_.unit(work_.context, i, scratch);
    }

    bool enter(unsigned long long& seen) {
        unsigned long long gate = gate_.load();
        while ((gate & open_bit) && gate / one_generation != seen) {
            if (gate_.compare_exchange_weak(gate, gate + 1)) {
                seen = gate / one_generation;
                return true;
            }
        }
        return false;
    }

    void wait_for_work(unsigned long long seen) {
        for (int i = 0; i < 3000; i++) {
            unsigned long long gate = gate_.load(std::memory_order_relaxed);
            if ((gate & open_bit) && gate / one_generation != seen) return;
            pause_briefly();
        }
        std::unique_lock<std::mutex> lock(sleep_);
        sleepers_++;
        wake_.wait(lock, [&] {
            unsigned long long gate = gate_.load();
            return (gate & open_bit) && gate / one_generation != seen;
        });
        sleepers_--;
    }

    void worker() {
        Scratch scratch;
        StandardArithmetic arithmetic;
        for (unsigned long long seen = 0;;) {
            wait_for_work(seen);
            if (!enter(seen)) continue;
            void* memory = work_.needs_scratch ? scratch.get() : nullptr;
            if (places_.fetch_sub(1) > 0 && (memory || !work_.needs_scratch)) take_units(memory);
            gate_.fetch_sub(1);
        }
    }

    void grow(int wanted) {
        while (workers_ < wanted) {
            try {
                std::thread(&Pool::worker, this).detach();
            } catch (const std::system_error&) {
                return;  // the caller does the work with what there is
            }
            workers_++;
        }
    }

  public:
    bool try_run(const Work& work, int helpers, void* scratch, Outcome& outcome) {
        std::unique_lock<std::mutex> mine(busy_, std::try_to_lock);
        if (!mine.owns_lock()) return false;
        grow(helpers);
        work_ = work;
        next_ = 0;
        places_ = helpers;
        stop_ = false;
        gate_.fetch_add(one_generation + open_bit);
        if (sleepers_.load() > 0) {
            std::lock_guard<std::mutex> lock(sleep_);
            wake_.notify_all();
        }
        outcome = alone(work, scratch, &next_, &stop_);
        gate_.fetch_and(~open_bit);
        while (gate_.load() & (open_bit - 1)) pause_briefly();
        return true;
    }

    static Outcome alone(const Work& work, void* scratch, std::atomic<long>* next, std::atomic<bool>* stop) {
        StandardArithmetic arithmetic;
        for (long i; (i = next->fetch_add(1)) < work.units;) {
            work.unit(work.context, i, scratch);
            if (work.interrupted && work.interrupted(work.context)) {
                *stop = true;
                return Outcome::interrupted;
            }
        }
        return Outcome::done;
    }
};

// Never destroyed: workers may outlive the interpreter's last call. A child after fork has no workers and starts
// a pool of its own.
std::atomic<Pool*> the_pool{nullptr};

Pool* pool() {
    Pool* current = the_pool.load();
    if (current) return current;
#if !defined(_WIN32)
    static const int registered = pthread_atfork(nullptr, nullptr, [] { the_pool = nullptr; });
    (void)registered;
#endif
    Pool* fresh = new (std::nothrow) Pool;
    if (fresh && !the_pool.compare_exchange_strong(current, fresh)) {
        delete fresh;
        return current;
    }
    return fresh;
}

}  // namespace

int available_threads() {
    static const int limit = [] {
        int quota = quota_threads(), cores = processors();
        return quota < cores ? quota : cores;
    }();
#if defined(_OPENMP)
    int wanted = omp_get_max_threads();
    const char* given = std::getenv("OMP_NUM_THREADS");
    return given && *given ? wanted : (wanted < limit ? wanted : limit);
#else
    static const int wanted = [] {
        const char* given = std::getenv("OMP_NUM_THREADS");
        return given ? std::atoi(given) : 0;
    }();
    return wanted > 0 ? wanted : limit;
#endif
}

Outcome run(const Work& work, int threads) {
    static thread_local Scratch scratch;
    void* memory = nullptr;
    if (work.needs_scratch && !(memory = scratch.get())) return Outcome::no_memory;
    Outcome outcome;
    int helpers = (work.units < threads ? static_cast<int>(work.units) : threads) - 1;
    if (helpers > 0) {
        Pool* shared = pool();
        if (shared && shared->try_run(work, helpers, memory, outcome)) return outcome;
    }
    std::atomic<long> next{0};
    std::atomic<bool> stop{false};
    return Pool::alone(work, memory, &next, &stop);
}

}  // namespace softmaxlib
