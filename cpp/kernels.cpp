// The table of kernels of one instruction set. Compiled once for each, with its lanes and its flags; everything
// but the table is local to this object and nothing of the standard library is used, so that no inline function
// compiled for a newer processor can be linked into code that runs on an older one.

#include "lanes.h"
#include "derivative_engine.h"
#include "loss_engine.h"
#include "sample.h"
#include "sigmoid.h"
#include "sigmoid_losses.h"
#include "simplex.h"

namespace {

// Every operand lies in memory as S, in rows that the kernels read and write without packing.
template <class S> inline bool lies_as(const Task& task) {
    const FunctionTraits& traits = traits_of(task.function);
    return !task.where.data && task.classes > traits.short_row && Part<float, S>::direct(task.input, task.inner) &&
           (traits.reduces || Part<float, S>::direct(task.output, task.inner)) &&
           (!traits.is_derivative || Part<float, S>::direct(task.tangent, task.inner));
}

// fn(engine, part), where part(group) is what the engine takes of a group of rows.
template <class T, class S, class Fn> inline void with_engine(const Task& task, void* scratch, Fn fn) {
    if (traits_of(task.function).is_derivative) {
        DerivativeEngine<T, S> engine(task);
        return fn(engine, [&](Index group) { return engine.operands(group, scratch); });
    }
    ActivationEngine<T, S> engine(task);
    fn(engine, [&](Index group) { return part_of<T, S>(task, group, scratch); });
}
template <class Fn> inline void in_its_type(const Task& task, void* scratch, Fn fn) {
    if (task.wide) return with_engine<double, double>(task, scratch, fn);
    if (lies_as<Half>(task)) return with_engine<float, Half>(task, scratch, fn);
    if (lies_as<Bfloat>(task)) return with_engine<float, Bfloat>(task, scratch, fn);
    with_engine<float, float>(task, scratch, fn);
}

void groups(const Task& task, Index first, Index last, void* scratch) {
    if (!traits_of(task.function).splits_rows) return simplex_groups(task, first, last, scratch);
    in_its_type(task, scratch, [&](auto& engine, auto part) {
        for (Index g = engine.several(first, last, scratch); g < last; g++) engine.group(part(g));
        engine.flush();
    });
    fence();
}
void reduce(const Task& task, Index group, Index segment, void* states, void* scratch) {
    in_its_type(task, scratch, [&](auto& engine, auto part) {
        engine.reduce(part(group), segment_at(task.classes, segment), engine.states(states));
    });
}
void finish(const Task& task, Index group, Index segments, void* states, void* scratch) {
    in_its_type(task, scratch,
                [&](auto& engine, auto part) { engine.join(part(group), segments, engine.states(states)); });
}
void apply(const Task& task, Index group, Index segment, const void* states, void* scratch) {
    in_its_type(task, scratch, [&](auto& engine, auto part) {
        engine.apply(part(group), segment_at(task.classes, segment), engine.states(states));
    });
    fence();
}
template <class T> void losses_of(const LossTask& task, Index first, Index last, void* scratch) {
    LossEngine<T> engine(task);
    for (Index g = first; g < last; g++) engine.group(part_of<T>(task.rows, g, scratch));
}
void losses(const LossTask& task, Index first, Index last, void* scratch) {
    task.rows.wide ? losses_of<double>(task, first, last, scratch) : losses_of<float>(task, first, last, scratch);
    fence();
}
bool sample(const SampleTask& task, Index draw, void* scratch) {
    return task.wide ? sample_row<double>(task, draw, scratch) : sample_row<float>(task, draw, scratch);
}
void exponential(const float* x, float* value, float* excess, Index n) {
    Scale<float> scale(1);
    Exponential<float> exponential(scale);
    exponential.relative_to(scale, no_reference<float>);
    each<float>(x, n, 0.0f, [&](Floats v, Index i) {
        Floats lanes[1] = {v}, values[1], excesses[1];
        exponential.parts<false>(lanes, values, excesses);
        int here = n - i < 16 ? static_cast<int>(n - i) : 16;
        store_partial(value + i, values[0], here);
        store_partial(excess + i, excesses[0], here);
    });
}

}  // namespace

extern "C" const softmaxlib::KernelTable SOFTMAXLIB_TABLE = {lanes_name, groups,         reduce,  finish, apply,
                                                             losses,     sigmoid_losses, sigmoid, sample, exponential};
