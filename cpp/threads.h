// A small pool of threads. Work is split at fixed borders, so results never depend on the threads.
#pragma once

#include "index.h"

namespace softmaxlib {

// The number of threads that the process may use: by OMP_NUM_THREADS and threadpoolctl (through the OpenMP runtime),
// the processor affinity and the quota of the control group.
int available_threads();

// Sets how many of them the calling thread uses at most from now on; 0 is no limit. For threads that share work out
// among themselves.
void limit_threads(int most);

struct Work {
    void (*unit)(void* context, Index index, void* scratch);
    void* context;
    Index units;
    bool needs_scratch;
    // Called by the calling thread between units. True stops the work. May be null.
    bool (*interrupted)(void* context);
};

enum class Outcome { done, interrupted, no_memory };

// Which threads help. Use those of OpenMP if the caller's other work runs on them, as in PyTorch. Two pools would
// compete for the processors, for a while after each piece of work.
enum class Crew { own, openmp };

// Runs every unit on up to `threads` threads, including the caller. Concurrent callers and children of fork work too.
Outcome run(const Work& work, int threads, Crew crew);

}  // namespace softmaxlib
