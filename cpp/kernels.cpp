// The table of kernels of one instruction set. Compiled once for each, with its lanes and its flags; everything
// but the table is local to this object and nothing of the standard library is used, so that no inline function
// compiled for a newer processor can be linked into code that runs on an older one.

#include SOFTMAXLIB_LANES
#include "derivatives.h"
#include "losses.h"
#include "select.h"
#include "simplex.h"

namespace {

// Every operand lies in memory as S, in rows that the kernels read and write without packing.
template <class S> inline bool lies_as(const Task& task) {
    bool reduces = task.function == Function::logsumexp;
    return !task.where.data && task.classes > short_row(task.function) && Part<float, S>::direct(task.input, task.inner) &&
           (reduces || Part<float, S>::direct(task.output, task.inner)) &&
           (!is_derivative(task.function) || Part<float, S>::direct(task.tangent, task.inner));
}

template <class T, class S, class Fn> inline void with_engine(const Task& task, void* scratch, Fn fn) {
    if (is_derivative(task.function)) {
        DerivativeEngine<T, S> engine(task);
        return fn(engine, [&](long group) { return engine.operands(group, scratch); });
    }
    Engine<T, S> engine(task);
    fn(engine, [&](long group) { return part_of<T, S>(task, group, scratch); });
}
template <class Fn> inline void in_its_type(const Task& task, void* scratch, Fn fn) {
    if (task.wide) return with_engine<double, double>(task, scratch, fn);
    if (lies_as<Half>(task)) return with_engine<float, Half>(task, scratch, fn);
    if (lies_as<Bfloat>(task)) return with_engine<float, Bfloat>(task, scratch, fn);
    with_engine<float, float>(task, scratch, fn);
}

void groups(const Task& task, long first, long last, void* scratch) {
    if (!splits_rows(task.function)) return simplex_groups(task, first, last, scratch);
    in_its_type(task, scratch, [&](auto& engine, auto part) {
        for (long g = engine.pairs(first, last); g < last; g++) {
            if (g + 1 < last && engine.pair(part(g), part(g + 1))) g++;
            else engine.group(part(g));
        }
        engine.flush();
    });
    fence();
}
void reduce(const Task& task, long group, long segment, State* states, void* scratch) {
    long length = segment_length(task.classes), from = segment * length;
    long to = from + length < task.classes ? from + length : task.classes;
    in_its_type(task, scratch, [&](auto& engine, auto part) { engine.reduce(part(group), from, to, states); });
}
void finish(const Task& task, long group, long segments, State* states, void* scratch) {
    in_its_type(task, scratch, [&](auto& engine, auto part) {
        engine.join(part(group), segments, states);
        engine.finish(part(group), states);
    });
}
void apply(const Task& task, long group, long segment, const State* states, void* scratch) {
    long length = segment_length(task.classes), from = segment * length;
    long to = from + length < task.classes ? from + length : task.classes;
    in_its_type(task, scratch, [&](auto& engine, auto part) { engine.apply(part(group), from, to, states); });
    fence();
}
template <class T> void losses_of(const LossTask& task, long first, long last, void* scratch) {
    LossEngine<T> engine(task);
    for (long g = first; g < last; g++) engine.group(part_of<T>(task.rows, g, scratch));
}
void losses(const LossTask& task, long first, long last, void* scratch) {
    task.rows.wide ? losses_of<double>(task, first, last, scratch) : losses_of<float>(task, first, last, scratch);
    fence();
}
template <class T> bool sample_row(const SampleTask& task, long draw, void* scratch) {
    Selection<T> selection(task, static_cast<const T*>(task.logits) + task.source[draw] * task.vocabulary, scratch);
    if (!selection.scan()) return false;
    const Selection<T> whole = selection;
    for (int i = 0; i < task.filters; i++) selection.apply(task.filter[i], task.parameter[i * task.draws + draw]);
    const Winner<T> winner = selection.draw(task.seed[draw], task.position[draw]);
    task.token[draw] = winner.token;
    static_cast<T*>(task.logprob)[draw] = whole.log_share(whole.score_of(winner.token));
    static_cast<T*>(task.processed_logprob)[draw] = selection.log_share(winner.score);
    return true;
}
bool sample(const SampleTask& task, long draw, void* scratch) {
    return task.wide ? sample_row<double>(task, draw, scratch) : sample_row<float>(task, draw, scratch);
}
void exponential(const float* x, float* value, float* excess, long n) {
    Scale<float> scale(1);
    Exponential<float> exponential(scale);
    exponential.relative_to(scale, {0, 0});
    each<float>(x, n, 0.0f, [&](Floats v, long i) {
        Floats lanes[1] = {v}, values[1], excesses[1];
        exponential.parts<false>(lanes, values, excesses);
        int here = n - i < 16 ? static_cast<int>(n - i) : 16;
        store_partial(value + i, values[0], here);
        store_partial(excess + i, excesses[0], here);
    });
}

}  // namespace

extern "C" const softmaxlib::KernelTable SOFTMAXLIB_TABLE = {lanes_name, groups, reduce, finish, apply, losses, sample, exponential};
