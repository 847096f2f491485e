#include "schedule.h"

#include <algorithm>
#include <new>
#include <vector>

namespace softmaxlib {
namespace {

struct Plan {
    const KernelTable& kernels;
    const Task& task;
    bool (*interrupted)();
    long groups, groups_per_unit, segments;
    std::vector<State> states;
};

bool is_direct(const Task& task, const Operand& operand) {
    DType own = task.wide ? DType::float64 : DType::float32;
    return operand.dtype == own && !operand.swapped && task.inner.count == 1 &&
           operand.inner[0] == (task.wide ? 8 : 4);
}

bool plan_interrupted(void* context) {
    const Plan& plan = *static_cast<Plan*>(context);
    return plan.interrupted && plan.interrupted();
}

void run_groups(void* context, long unit, void* scratch) {
    const Plan& plan = *static_cast<Plan*>(context);
    long first = unit * plan.groups_per_unit;
    plan.kernels.groups(plan.task, first, std::min(plan.groups, first + plan.groups_per_unit), scratch);
}
State* states_of(Plan& plan, long group) { return plan.states.data() + group * plan.segments * group_rows; }

void run_reduce(void* context, long unit, void* scratch) {
    Plan& plan = *static_cast<Plan*>(context);
    long group = unit / plan.segments, segment = unit % plan.segments;
    plan.kernels.reduce(plan.task, group, segment, states_of(plan, group) + segment * group_rows, scratch);
}
void run_apply(void* context, long unit, void* scratch) {
    Plan& plan = *static_cast<Plan*>(context);
    long group = unit / plan.segments, segment = unit % plan.segments;
    plan.kernels.apply(plan.task, group, segment, states_of(plan, group), scratch);
}

ptrdiff_t size_of(const Operand& operand) { return operand.dtype == DType::float64 ? 8 : 4; }

constexpr ptrdiff_t cache_line = 64;
constexpr long least_aligned = 1 << 16;  // elements

}  // namespace

void align_groups(Task& task) {
    const int last = task.outer.count - 1;
    const Operand& lines = task.function == Function::logsumexp ? task.input : task.output;
    const ptrdiff_t size = size_of(lines);
    task.lead = 0;
    if (task.rows * task.classes < least_aligned || task.outer.length[last] < 4 * group_rows || lines.outer[last] != size) return;
    for (int d = 0; d < last; d++)
        if (lines.outer[d] % cache_line) return;
    for (int d = 0; d < task.inner.count; d++)
        if (lines.inner[d] % cache_line) return;
    task.lead = static_cast<long>(-reinterpret_cast<uintptr_t>(lines.data) % cache_line) / size;
}

Outcome run_task(const KernelTable& kernels, const Task& task, int threads, bool (*interrupted)(), Crew crew) {
    long elements = task.rows * task.classes;
    threads = static_cast<int>(std::min<long>(threads, elements / (least_parallel / 2)));
    bool elementwise = task.function != Function::logsumexp;
    bool needs_scratch = !is_direct(task, task.input) || task.where.data || (elementwise && !is_direct(task, task.output)) ||
                         (is_derivative(task.function) && !is_direct(task, task.tangent));
    Plan plan = {kernels, task, interrupted, group_count(task), 1, segment_count(task.classes), {}};
    if (threads > 1 && plan.segments > 1 && splits_rows(task.function) && plan.groups < 4 * threads) {
        try {
            plan.states.resize(static_cast<size_t>(plan.groups * plan.segments * group_rows));
        } catch (const std::bad_alloc&) {
            return Outcome::no_memory;
        }
        Work work = {run_reduce, &plan, plan.groups * plan.segments, needs_scratch, plan_interrupted};
        Outcome outcome = run(work, threads, crew);
        if (outcome != Outcome::done) return outcome;
        for (long g = 0; g < plan.groups; g++) kernels.finish(task, g, plan.segments, states_of(plan, g), nullptr);
        if (!elementwise) return Outcome::done;
        work.unit = run_apply;
        return run(work, threads, crew);
    }
    long per_group = group_rows * task.classes;
    // Longer units keep a thread's memory in one run; some for each thread to even out what else the machine does.
    long per_unit = std::clamp(elements / (16 * std::max(threads, 1)), least_parallel / 2, 2 * least_parallel);
    plan.groups_per_unit = std::max<long>(1, per_unit / std::max<long>(1, per_group));
    if (threads <= 1 && elements <= least_parallel) plan.groups_per_unit = plan.groups;
    Work work = {run_groups, &plan, (plan.groups + plan.groups_per_unit - 1) / plan.groups_per_unit, needs_scratch,
                 plan_interrupted};
    return run(work, std::max(threads, 1), crew);
}

}  // namespace softmaxlib
