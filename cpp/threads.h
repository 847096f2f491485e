// A small pool of threads of our own: work is cut at fixed borders, so results never depend on it.
#pragma once

#include "index.h"

namespace softmaxlib {

// As many as the process may use: OMP_NUM_THREADS and threadpoolctl (by way of the OpenMP runtime), the
// processor affinity and the control group's quota.
int available_threads();

struct Work {
    void (*unit)(void* context, Index index, void* scratch);
    void* context;
    Index units;
    bool needs_scratch;
    // Called by the calling thread between units; true stops the work. May be null.
    bool (*interrupted)(void* context);
};

enum class Outcome { done, interrupted, no_memory };

// Whose threads help. Those of OpenMP where the caller's other work is done by them, as PyTorch's is: two pools would
// keep each other waiting on the processors, for a while after each piece of work.
enum class Crew { own, openmp };

// Runs every unit, on up to `threads` threads with the caller among them. A second caller at the same time, and
// a child after fork, work as well.
Outcome run(const Work& work, int threads, Crew crew);

}  // namespace softmaxlib
