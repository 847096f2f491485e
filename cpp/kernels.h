// What the caller hands to a kernel and what a kernel table offers: plain data, shared by every object.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "functions.h"

namespace softmaxlib {

enum class DType : int {
    float16,
    bfloat16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
};
static constexpr ptrdiff_t size_of(DType type) {
    constexpr ptrdiff_t sizes[] = {2, 2, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8};
    return sizes[static_cast<int>(type)];
}

constexpr int max_dimensions = 64;
constexpr Index chunk = 4096;        // elements that are reduced at once; part of the definition of the bits
constexpr Index most_segments = 64;  // a longer row is split at fixed borders into at most this many
constexpr Index short_loss = 512;    // up to this many classes, the losses of sixteen rows are computed in one vector
constexpr Index paired_row = 64;     // up to here two such groups go together
constexpr int group_rows = 16;

struct Axes {
    int count;
    Index length[max_dimensions];
};

struct Operand {
    char* data;
    DType dtype;
    bool swapped;  // the other byte order
    ptrdiff_t outer[max_dimensions];
    ptrdiff_t inner[max_dimensions];
};

struct Task {
    Function function;
    bool wide;    // computed in double
    bool stream;  // the output is beyond the cache
    double temperature;
    Index rows, classes;
    Index lead;  // rows of the first group of each run along the last outer axis, or 0: as many as a group has
    Axes outer, inner;
    Operand input, output, where, sink;  // where and sink: data is null when there is none
    Operand tangent;                     // of the derivatives: what moves, or what arrives from behind
};

constexpr int sums_kept = 5;  // numbers: what a row's gradient needs of its logits but the logits

// Cross-entropy of rows. Row r has label[r] (negative: the row is not counted) or, where label is null, a row of
// probabilities in `target`; loss[r]; and, where the output has data, its gradient times `scale`.
struct LossTask {
    Task rows;  // along one outer and one inner axis, without sink
    const int64_t* label;
    Operand target;
    const double* weight;  // one a class, or null
    double* loss;
    double* sums;  // sums_kept numbers a row: written where there is no gradient, and read where there is one
                   // (of more than short_loss classes); or null
    double smoothing, focal, z_loss, scale;  // not both smoothing, or a target of probabilities, and focal
    Index groups_per_unit;
};

// Cross-entropy of binary logits, element by element: loss[i] and, where `gradient` has data, its gradient times
// `scale`. All operands lie along one axis, whose strides may be 0.
struct SigmoidLossTask {
    Operand logits, target;      // targets in [0, 1]
    Operand positive, negative;  // what the two outcomes count, or without data: 1
    Operand gradient;
    double* loss;
    double smoothing, focal, scale;
    Index elements;
};

// The sigmoid of each element, or its logarithm. The input lies along one axis in any type, the output in one piece.
struct SigmoidTask {
    Operand input;
    char* output;
    DType type;  // of the output: that of an input of floats, else float64
    bool logarithm, stream;
    Index elements;
};

// What is known of a row, or of a part of it: sum over the row of exp2(c (x - offset)) is total * 2^power.
// For the functions with a logarithm `total` leaves the maximum out and is relative to its exponential.
struct RowState {
    double maximum, minimum, offset, power;
    double total, total_low;
    double log_total, log_total_low;  // log(1 + total), once the row is finished
    bool all_normal;                  // no exponential of the sum is subnormal
};

// The same of the derivatives: derivative_state.h says what they need.
struct DerivativeState {
    double top, tangent;
    Index place;
    double total, total_low;
    double others, weight;
    bool in_range, all_normal;
};
static constexpr size_t state_size(Function function) {
    return traits_of(function).is_derivative ? sizeof(DerivativeState) : sizeof(RowState);
}

static inline Index segment_length(Index classes) {
    Index chunks = (classes + chunk - 1) / chunk;
    return chunk * ((chunks + most_segments - 1) / most_segments);
}
static inline Index segment_count(Index classes) {
    Index length = segment_length(classes);
    return length ? (classes + length - 1) / length : 0;
}
// Groups of rows that lie side by side along the last outer axis.
static inline Index groups_per_run(const Task& task) {
    return (task.lead > 0) + (task.outer.length[task.outer.count - 1] - task.lead + group_rows - 1) / group_rows;
}
static inline Index group_count(const Task& task) {
    Index last = task.outer.length[task.outer.count - 1];
    return last ? task.rows / last * groups_per_run(task) : 0;
}

constexpr Index buffer_row = chunk + 16;  // not a power of two: rows side by side would share cache sets
constexpr size_t scratch_bytes = 2 * sizeof(double) * group_rows * buffer_row + 64;  // for two operands
// Long rows that lie side by side go in panels of this many groups of floats, or half as many of doubles: as many as
// fit the scratch memory. It pays where each class lies in a page of its own, or nearly.
constexpr int panel_groups = 4;
constexpr ptrdiff_t least_panel_stride = 2048;  // bytes
static inline bool goes_in_panels(const Task& task) {
    const ptrdiff_t stride = task.input.inner[task.inner.count - 1];
    return task.classes > chunk && !task.where.data && (stride < 0 ? -stride : stride) >= least_panel_stride &&
           task.input.outer[task.outer.count - 1] == (task.wide ? 8 : 4);
}
// softmax takes so many groups side by side as they lie: a page of floats of each class.
constexpr int column_groups = 64;
static inline bool goes_by_columns(const Task& task) {
    return goes_in_panels(task) && task.function == Function::softmax;
}

// What sampling does to the scores of a row before the draw.
enum class Filter : char { temperature, top_k, top_p, min_p, typical_p, top_n_sigma };

struct SampleTask {
    const void* logits;  // rows of `vocabulary` float or double
    bool wide;
    Index vocabulary, draws;
    const int64_t* source;  // of each draw: its row
    int filters;
    const Filter* filter;
    const double* parameter;  // (filters, draws)
    const uint64_t* seed;
    const uint32_t* position;
    int64_t* token;
    void *logprob, *processed_logprob;  // as the logits
};
static inline size_t sample_scratch_bytes(const SampleTask& task) {
    size_t number = task.wide ? sizeof(double) : sizeof(float);
    return static_cast<size_t>(task.vocabulary + 16) *
           (sizeof(int64_t) + sizeof(double) + 2 * number + sizeof(uint32_t));
}

struct KernelTable {
    const char* name;
    // Whole rows, group by group.
    void (*groups)(const Task&, Index first, Index last, void* scratch);
    // One segment of one group of rows; then the whole group's answer; then its output, segment by segment. The states
    // are group_rows for each segment, one segment after the other.
    void (*reduce)(const Task&, Index group, Index segment, void* states, void* scratch);
    void (*finish)(const Task&, Index group, Index segments, void* states, void* scratch);
    void (*apply)(const Task&, Index group, Index segment, const void* states, void* scratch);
    // Losses of whole rows, and their gradients.
    void (*losses)(const LossTask&, Index first, Index last, void* scratch);
    // Losses of binary logits, and their gradients.
    void (*sigmoid_losses)(const SigmoidLossTask&, Index first, Index last);
    // The sigmoid of elements, or its logarithm.
    void (*sigmoid)(const SigmoidTask&, Index first, Index last);
    // One draw; false where the row holds NaN or +inf, or nothing above -inf.
    bool (*sample)(const SampleTask&, Index draw, void* scratch);
    // For the tests of the arithmetic itself.
    void (*exponential)(const float* x, float* value, float* excess, Index n);
};

}  // namespace softmaxlib
