#include "threads.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include "platform.h"
#include "scratch.h"

#if defined(_OPENMP)
#include <omp.h>
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

// Waits in a loop, without a word to the system, for as long as a hand-over takes that must not be missed: the next
// call of a program that calls again and again. A pause takes ten times as long on one processor as on another, so it
// is the clock that counts.
constexpr std::chrono::microseconds longest_spin{50};
constexpr int pauses_a_look = 16;  // at the clock, which takes as long as some pauses

// Returns whether `done` came true in that time.
template <class Done> bool spin_until(Done done) {
    const auto end = std::chrono::steady_clock::now() + longest_spin;
    do {
        for (int i = 0; i < pauses_a_look; i++) {
            if (done()) return true;
            pause_briefly();
        }
    } while (std::chrono::steady_clock::now() < end);
    return false;
}

// The kernels assume round-to-nearest and subnormals; a process may have been set otherwise.
class StandardArithmetic {
#if defined(__x86_64__)
    unsigned saved_ = _mm_getcsr();

  public:
    StandardArithmetic() { _mm_setcsr(0x1f80); }
    ~StandardArithmetic() { _mm_setcsr(saved_); }
#elif defined(__aarch64__)
    uint64_t saved_;

  public:
    StandardArithmetic() {
        asm volatile("mrs %0, fpcr" : "=r"(saved_));
        asm volatile("msr fpcr, %0" : : "r"(uint64_t{0}));
    }
    ~StandardArithmetic() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }
#else
  public:
    StandardArithmetic() {}
    ~StandardArithmetic() {}
#endif
};

// The units of a task in one run of neighbours for each thread, which goes on with those of others when its own are
// done: what a thread reads was often written by itself in the call before, and is still in its cache.
class Shares {
    static constexpr int most = 64;
    struct alignas(64) Share {
        std::atomic<Index> next{0};
        Index end = 0;
    };
    Share shares_[most];
    int count_ = 1;

  public:
    void divide(Index units, int threads) {
        count_ = threads < most ? threads : most;
        for (int s = 0; s < count_; s++) {
            shares_[s].next = units / count_ * s + units % count_ * s / count_;
            shares_[s].end = units / count_ * (s + 1) + units % count_ * (s + 1) / count_;
        }
    }
    // fn(unit) returns whether to go on.
    template <class Fn> void take(int place, Fn fn) {
        for (int k = 0; k < count_; k++) {
            Share& share = shares_[(place + k) % count_];
            for (Index unit; (unit = share.next.fetch_add(1)) < share.end;)
                if (!fn(unit)) return;
        }
    }
};

// The caller's part: each(fn) calls fn(unit) as long as it returns true.
template <class Each> Outcome take_part(const Work& work, void* scratch, std::atomic<bool>& stop, Each each) {
    StandardArithmetic arithmetic;
    each([&](Index unit) {
        work.unit(work.context, unit, scratch);
        if (work.interrupted && work.interrupted(work.context)) stop = true;
        return !stop.load(std::memory_order_relaxed);
    });
    return stop ? Outcome::interrupted : Outcome::done;
}
// A helper's part. Without scratch memory it does nothing, and the others do its share.
void help(const Work& work, Scratch& scratch, std::atomic<bool>& stop, Shares& shares, int place) {
    void* memory = work.needs_scratch ? scratch.get() : nullptr;
    if (work.needs_scratch && !memory) return;
    shares.take(place, [&](Index unit) {
        work.unit(work.context, unit, memory);
        return !stop.load(std::memory_order_relaxed);
    });
}
Outcome run_alone(const Work& work, void* scratch) {
    std::atomic<bool> stop{false};
    return take_part(work, scratch, stop, [&](auto fn) {
        for (Index unit = 0; unit < work.units && fn(unit); unit++) {}
    });
}

// The processors that the process may use.
int processor_limit() {
    static const int limit = [] {
        int quota = platform::processor_quota(), cores = platform::processors();
        return quota < cores ? quota : cores;
    }();
    return limit;
}

class Pool {
    // The gate: generation in the high half, an open bit, and the number of workers inside.
    static constexpr unsigned long long open_bit = 1ull << 31, one_generation = 1ull << 32;
    std::atomic<unsigned long long> gate_{0};
    Shares shares_;
    std::atomic<int> sleepers_{0};
    std::atomic<bool> stop_{false};
    Work work_{};
    int helpers_ = 0;
    std::atomic<bool> spins_{true};
    std::mutex busy_, sleep_;
    std::condition_variable wake_;
    int workers_ = 0;

    // Closes the gate and waits for the workers inside, however the caller leaves: they use its memory.
    struct Closing {
        std::atomic<unsigned long long>& gate;
        ~Closing() {
            gate.fetch_and(~open_bit);
            const auto left = [&] { return !(gate.load() & (open_bit - 1)); };
            // A worker that takes longer may wait for a processor: this one.
            if (!spin_until(left))
                while (!left()) std::this_thread::yield();
        }
    };

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
        const auto is_open = [&] {
            const unsigned long long gate = gate_.load();
            return (gate & open_bit) && gate / one_generation != seen;
        };
        if (spins_ && spin_until(is_open)) return;
        std::unique_lock<std::mutex> lock(sleep_);
        sleepers_++;
        wake_.wait(lock, is_open);
        sleepers_--;
    }

    // Workers are counted from 1, the caller is 0: each has the same share from call to call.
    void worker(int place) {
        Scratch scratch;
        StandardArithmetic arithmetic;
        for (unsigned long long seen = 0;;) {
            wait_for_work(seen);
            if (!enter(seen)) continue;
            if (place <= helpers_) help(work_, scratch, stop_, shares_, place);
            gate_.fetch_sub(1);
        }
    }

    void grow(int wanted) {
        while (workers_ < wanted) {
            try {
                std::thread(&Pool::worker, this, workers_ + 1).detach();
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
        // Of more threads than processors, one that spins would keep another that works from its processor.
        spins_ = workers_ < processor_limit();
        work_ = work;
        helpers_ = helpers;
        shares_.divide(work.units, helpers + 1);
        stop_ = false;
        gate_.fetch_add(one_generation + open_bit);
        if (sleepers_.load() > 0) {
            {
                std::lock_guard<std::mutex> lock(sleep_);
            }  // whoever found the gate closed sleeps by now
            wake_.notify_all();
        }
        const Closing closing{gate_};
        outcome = take_part(work, scratch, stop_, [&](auto fn) { shares_.take(0, fn); });
        return true;
    }
};

// Never destroyed: workers may outlive the interpreter's last call. A child after fork has no workers and starts
// a pool of its own; OpenMP would wait there for threads that the parent has.
std::atomic<Pool*> the_pool{nullptr};
std::atomic<bool> is_child{false};

void watch_forks() {
    static const bool watched = [] {
        platform::call_in_children([] {
            the_pool = nullptr;
            is_child = true;
        });
        return true;
    }();
    (void)watched;
}

Pool* pool() {
    Pool* current = the_pool.load();
    if (current) return current;
    watch_forks();
    Pool* fresh = new (std::nothrow) Pool;
    if (fresh && !the_pool.compare_exchange_strong(current, fresh)) {
        delete fresh;
        return current;
    }
    return fresh;
}

Scratch& own_scratch() {
    static thread_local Scratch scratch;
    return scratch;
}

#if defined(_OPENMP)
Outcome run_with_openmp(const Work& work, int threads, void* scratch) {
    watch_forks();
    Shares shares;
    shares.divide(work.units, threads);
    std::atomic<bool> stop{false};
    Outcome outcome = Outcome::done;
#pragma omp parallel num_threads(threads)
    if (int place = omp_get_thread_num(); place == 0) {
        outcome = take_part(work, scratch, stop, [&](auto fn) { shares.take(0, fn); });
    } else {
        StandardArithmetic arithmetic;
        help(work, own_scratch(), stop, shares, place);
    }
    return outcome;
}
#endif

}  // namespace

static int threads_of_process() {
    const int limit = processor_limit();
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

static thread_local int most_threads = 0;

void limit_threads(int most) { most_threads = most; }

int available_threads() {
    const int known = threads_of_process();
    return most_threads > 0 && most_threads < known ? most_threads : known;
}

Outcome run(const Work& work, int threads, [[maybe_unused]] Crew crew) {
    void* memory = nullptr;
    if (work.needs_scratch && !(memory = own_scratch().get())) return Outcome::no_memory;
    Outcome outcome;
    int helpers = (work.units < threads ? static_cast<int>(work.units) : threads) - 1;
    if (helpers > 0) {
#if defined(_OPENMP)
        if (crew == Crew::openmp && !is_child) return run_with_openmp(work, helpers + 1, memory);
#endif
        Pool* shared = pool();
        if (shared && shared->try_run(work, helpers, memory, outcome)) return outcome;
    }
    return run_alone(work, memory);
}

}  // namespace softmaxlib
