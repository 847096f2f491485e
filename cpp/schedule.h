// Cuts a task into units of work for the threads: groups of rows, or segments of few long rows.
#pragma once

#include "kernels.h"
#include "threads.h"

namespace softmaxlib {

// Work smaller than this many elements stays on the calling thread.
constexpr Index least_parallel = 32768;

// Aligns groups to cache lines if large rows lie side by side, class by class.
void align_groups(Task& task);

// Leaves out streaming where rows are not much longer than the lines that they share with their neighbours: part of a
// line goes through the cache, and such stores take longer together than all of them through the cache.
void choose_stores(Task& task);

Outcome run_task(const KernelTable& kernels, const Task& task, int threads, bool (*interrupted)(),
                 Crew crew = Crew::own);

}  // namespace softmaxlib
