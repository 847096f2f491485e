#include "execute.h"

#include <algorithm>

#include "dispatch.h"
#include "interrupt.h"
#include "lock.h"
#include "schedule.h"

namespace softmaxlib {
namespace {

void run_losses(void* context, Index unit, void* scratch) {
    const LossTask& task = *static_cast<LossTask*>(context);
    Index groups = group_count(task.rows), first = unit * task.groups_per_unit;
    chosen_instruction_set().kernels->losses(task, first, std::min(groups, first + task.groups_per_unit), scratch);
}

bool interrupted(void*) { return signal_arrived(); }

// Without Python's lock, where the work is long and the lock is held (PyTorch's backward comes without it).
template <class F> Outcome unlocked(Index elements, F work) {
    if (elements < least_released || !PyGILState_Check()) return work();
    Unlocked released;
    return work();
}

int threads_for(Index elements) { return elements < least_parallel ? 1 : available_threads(); }

}  // namespace

Outcome execute(Task& task, Crew crew) {
    Index elements = task.rows * task.classes;
    align_groups(task);
    choose_stores(task);
    return unlocked(elements, [&] {
        return run_task(*chosen_instruction_set().kernels, task, threads_for(elements),
                        elements < least_interrupted ? nullptr : signal_arrived, crew);
    });
}

Outcome execute(LossTask& task, Crew crew) {
    task.rows.lead = 0;
    Index elements = task.rows.rows * task.rows.classes, groups = group_count(task.rows);
    int threads = threads_for(elements);
    task.groups_per_unit = std::max<Index>(1, least_parallel / 2 / (group_rows * task.rows.classes));
    if (threads == 1 && elements < least_interrupted) task.groups_per_unit = groups;
    Work work = {run_losses, &task, (groups + task.groups_per_unit - 1) / task.groups_per_unit, true,
                 elements < least_interrupted ? nullptr : interrupted};
    return unlocked(elements, [&] { return run(work, threads, crew); });
}

}  // namespace softmaxlib
