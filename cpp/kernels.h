// What the caller hands to a kernel and what a kernel table offers: plain data, shared by every object.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace softmaxlib {

enum class DType : int {
    float16, bfloat16, float32, float64,
    int8, int16, int32, int64, uint8, uint16, uint32, uint64,
};

enum class Function : int {
    softmax, log_softmax, logsumexp, sparsemax, entmax15,
    softmax_jvp, log_softmax_jvp, log_softmax_vjp, log_softmax_vjp_of_logarithms,
};
static constexpr bool is_derivative(Function function) { return function >= Function::softmax_jvp; }

// Whether parts of a row are summed up by themselves, so that one long row is split over threads.
static constexpr bool splits_rows(Function function) { return function <= Function::logsumexp || is_derivative(function); }

constexpr int max_dimensions = 64;
constexpr long chunk = 4096;         // elements that are reduced at once; part of the definition of the bits
constexpr long most_segments = 64;   // a longer row is split at fixed borders into at most so many
// Up to so many classes sixteen rows share one vector; above, a row by itself is done sooner.
constexpr long short_loss = 512;  // the most of all
static constexpr long short_row(Function function) {
    return is_derivative(function) ? 256 : function == Function::log_softmax ? 384 : 448;
}
constexpr long paired_row = 64;      // up to here two such groups go together
constexpr int group_rows = 16;

struct Axes {
    int count;
    long length[max_dimensions];
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
    long rows, classes;
    long lead;  // rows of the first group of each run along the last outer axis, or 0: as many as a group has
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
    long groups_per_unit;
};

// What is known of a row, or of a part of it: sum over the row of exp2(c (x - offset)) is total * 2^power.
// For the functions with a logarithm `total` leaves the maximum out and is relative to its exponential.
struct State {
    double maximum, minimum, offset, power;
    double total, total_low;
    double log_total, log_total_low;  // log(1 + total), once the row is finished
    bool plain;  // no exponential of the sum, or of the derivatives, needs special care
    // Of the derivatives (derivatives.h says what they hold).
    double others, weight;
    long place;
    bool tame;
};

static inline long segment_length(long classes) {
    long chunks = (classes + chunk - 1) / chunk;
    return chunk * ((chunks + most_segments - 1) / most_segments);
}
static inline long segment_count(long classes) {
    long length = segment_length(classes);
    return length ? (classes + length - 1) / length : 0;
}
// Groups of rows that lie side by side along the last outer axis.
static inline long groups_per_run(const Task& task) {
    return (task.lead > 0) + (task.outer.length[task.outer.count - 1] - task.lead + group_rows - 1) / group_rows;
}
static inline long group_count(const Task& task) {
    long last = task.outer.length[task.outer.count - 1];
    return last ? task.rows / last * groups_per_run(task) : 0;
}

constexpr long buffer_row = chunk + 16;  // not a power of two: rows side by side would share cache sets
constexpr size_t scratch_bytes = 2 * sizeof(double) * group_rows * buffer_row + 64;  // for two operands

// What sampling does to the scores of a row before the draw.
enum class Filter : char { temperature, top_k, top_p, min_p, typical_p, top_n_sigma };

struct SampleTask {
    const void* logits;  // rows of `vocabulary` float or double
    bool wide;
    long vocabulary, draws;
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
    return static_cast<size_t>(task.vocabulary + 16) * (sizeof(int64_t) + sizeof(double) + 2 * number + sizeof(uint32_t));
}

struct KernelTable {
    const char* name;
    // Whole rows, group by group.
    void (*groups)(const Task&, long first, long last, void* scratch);
    // One segment of one group of rows; then the whole group's answer; then its output, segment by segment.
    void (*reduce)(const Task&, long group, long segment, State* states, void* scratch);
    void (*finish)(const Task&, long group, long segments, State* states, void* scratch);
    void (*apply)(const Task&, long group, long segment, const State* states, void* scratch);
    // Losses of whole rows, and their gradients.
    void (*losses)(const LossTask&, long first, long last, void* scratch);
    // One draw; false where the row holds NaN or +inf, or nothing above -inf.
    bool (*sample)(const SampleTask&, long draw, void* scratch);
    // For the tests of the arithmetic itself.
    void (*exponential)(const float* x, float* value, float* excess, long n);
};

}  // namespace softmaxlib
