#include "schedule.h"

#include <algorithm>
#include <new>
#include <vector>

#include "caches.h"

namespace softmaxlib {
namespace {

struct Plan {
    const KernelTable& kernels;
    const Task& task;
    bool (*interrupted)();
    Index groups, groups_per_unit, segments;
    std::vector<double> states;  // of the function's kind: of the alignment of a double
};

bool is_direct(const Task& task, const Operand& operand) {
    DType own = task.wide ? DType::float64 : DType::float32;
    return operand.dtype == own && !operand.swapped && task.inner.count == 1 && operand.inner[0] == (task.wide ? 8 : 4);
}

bool plan_interrupted(void* context) {
    const Plan& plan = *static_cast<Plan*>(context);
    return plan.interrupted && plan.interrupted();
}

void run_groups(void* context, Index unit, void* scratch) {
    const Plan& plan = *static_cast<Plan*>(context);
    Index first = unit * plan.groups_per_unit;
    plan.kernels.groups(plan.task, first, std::min(plan.groups, first + plan.groups_per_unit), scratch);
}
size_t doubles_of(const Plan& plan) { return state_size(plan.task.function) / sizeof(double) * group_rows; }
double* states_of(Plan& plan, Index group, Index segment = 0) {
    return plan.states.data() + static_cast<size_t>(group * plan.segments + segment) * doubles_of(plan);
}

void run_reduce(void* context, Index unit, void* scratch) {
    Plan& plan = *static_cast<Plan*>(context);
    const Index group = unit / plan.segments, segment = unit % plan.segments;
    plan.kernels.reduce(plan.task, group, segment, states_of(plan, group, segment), scratch);
}
void run_apply(void* context, Index unit, void* scratch) {
    Plan& plan = *static_cast<Plan*>(context);
    const Index group = unit / plan.segments, segment = unit % plan.segments;
    plan.kernels.apply(plan.task, group, segment, states_of(plan, group), scratch);
}

Index groups_per_unit(const Plan& plan, int threads) {
    const Task& task = plan.task;
    const Index elements = task.rows * task.classes;
    if (threads == 1 && elements <= least_parallel) return plan.groups;
    if (goes_by_columns(task)) return std::clamp<Index>(plan.groups / threads, panel_groups, column_groups);
    // Longer units keep a thread's memory in one run; some for each thread to even out what else the machine does.
    // A unit's input takes a quarter of the second level of the cache.
    const Index most = std::max<Index>(static_cast<Index>(caches().second) / 16, least_parallel);
    const Index per_unit = std::clamp(elements / (16 * threads), least_parallel / 2, most);
    const Index groups = std::max<Index>(1, per_unit / std::max<Index>(1, group_rows * task.classes));
    const bool in_panels = goes_in_panels(task) && plan.groups >= 4 * panel_groups * threads;
    return in_panels ? std::max<Index>(groups, panel_groups) : groups;
}

constexpr ptrdiff_t cache_line = 64;
constexpr Index least_aligned = 1 << 16;    // elements
constexpr Index least_streamed_row = 4096;  // bytes, of rows that begin or end within a line

}  // namespace

void align_groups(Task& task) {
    const int last = task.outer.count - 1;
    const Operand& lines = traits_of(task.function).reduces ? task.input : task.output;
    const ptrdiff_t size = lines.dtype == DType::float64 ? 8 : 4;
    task.lead = 0;
    if (task.rows * task.classes < least_aligned || task.outer.length[last] < 4 * group_rows ||
        lines.outer[last] != size)
        return;
    for (int d = 0; d < last; d++)
        if (lines.outer[d] % cache_line) return;
    for (int d = 0; d < task.inner.count; d++)
        if (lines.inner[d] % cache_line) return;
    task.lead = static_cast<Index>(-reinterpret_cast<uintptr_t>(lines.data) % cache_line) / size;
}

void choose_stores(Task& task) {
    const Operand& output = task.output;
    const ptrdiff_t size = size_of(output.dtype);
    // Short rows are collected until they make whole lines.
    if (task.classes <= traits_of(task.function).short_row || task.inner.count > 1 || output.inner[0] != size) return;
    bool whole_lines =
        task.classes * size % cache_line == 0 && reinterpret_cast<uintptr_t>(output.data) % cache_line == 0;
    for (int d = 0; d < task.outer.count; d++) whole_lines &= output.outer[d] % cache_line == 0;
    if (!whole_lines && task.classes * size < least_streamed_row) task.stream = false;
}

Outcome run_task(const KernelTable& kernels, const Task& task, int threads, bool (*interrupted)(), Crew crew) {
    Index elements = task.rows * task.classes;
    threads = static_cast<int>(std::min<Index>(threads, elements / (least_parallel / 2)));
    const FunctionTraits& traits = traits_of(task.function);
    bool elementwise = !traits.reduces;
    bool needs_scratch = !is_direct(task, task.input) || task.where.data ||
                         (elementwise && !is_direct(task, task.output)) ||
                         (traits.is_derivative && !is_direct(task, task.tangent));
    Plan plan = {kernels, task, interrupted, group_count(task), 1, threads > 1 ? segment_count(task.classes) : 1, {}};
    if (threads > 1 && plan.segments > 1 && traits.splits_rows && plan.groups < 4 * threads) {
        try {
            plan.states.resize(static_cast<size_t>(plan.groups * plan.segments) * doubles_of(plan));
        } catch (const std::bad_alloc&) {
            return Outcome::no_memory;
        }
        Work work = {run_reduce, &plan, plan.groups * plan.segments, needs_scratch, plan_interrupted};
        Outcome outcome = run(work, threads, crew);
        if (outcome != Outcome::done) return outcome;
        for (Index g = 0; g < plan.groups; g++) kernels.finish(task, g, plan.segments, states_of(plan, g), nullptr);
        if (!elementwise) return Outcome::done;
        work.unit = run_apply;
        return run(work, threads, crew);
    }
    plan.groups_per_unit = groups_per_unit(plan, std::max(threads, 1));
    Work work = {run_groups, &plan, (plan.groups + plan.groups_per_unit - 1) / plan.groups_per_unit, needs_scratch,
                 plan_interrupted};
    return run(work, std::max(threads, 1), crew);
}

}  // namespace softmaxlib
