// The kernels of the playground, a page that runs in a browser: compiled to WebAssembly, from the same headers and
// the portable lanes. An instruction set defines no bits, so these are the bits that Python gives.
//
// The page lays out its operands, rows one after the other, in `room` and passes their addresses.

#define SOFTMAXLIB_LANES "lanes/portable.h"
#include "../derivative_engine.h"
#include "../loss_engine.h"
#include "../sample.h"
#include "../simplex.h"

#define EXPORTED(name) extern "C" __attribute__((export_name(#name)))

namespace {

using namespace softmaxlib;

constexpr size_t room_bytes = 1 << 20;
alignas(64) char room[room_bytes];
alignas(64) char scratch[scratch_bytes];

Operand rows_of(const void* data, DType dtype, int outer, int inner) {
    Operand operand = {};
    operand.data = static_cast<char*>(const_cast<void*>(data));
    operand.dtype = dtype;
    operand.outer[0] = outer;
    operand.inner[0] = inner;
    return operand;
}

Task rows_task(Function function, DType dtype, int rows, int classes, const void* in, void* out) {
    const int size = static_cast<int>(size_of(dtype));
    Task task = {};
    task.function = function;
    task.wide = dtype == DType::float64;
    task.temperature = 1;
    task.rows = rows;
    task.classes = classes;
    task.outer = {1, {task.rows}};
    task.inner = {1, {task.classes}};
    task.input = rows_of(in, dtype, classes * size, size);
    task.output =
        traits_of(function).reduces ? rows_of(out, dtype, size, 0) : rows_of(out, dtype, classes * size, size);
    return task;
}

template <class T> void activation(const Task& task) {
    ActivationEngine<T> engine(task);
    for (Index g = 0; g < group_count(task); g++) engine.group(part_of<T>(task, g, scratch));
    engine.flush();
}
template <class T> void derivative(const Task& task) {
    DerivativeEngine<T> engine(task);
    for (Index g = 0; g < group_count(task); g++) engine.group(engine.operands(g, scratch));
    engine.flush();
}
template <class T> void losses(const LossTask& task) {
    LossEngine<T> engine(task);
    for (Index g = 0; g < group_count(task.rows); g++) engine.group(part_of<T>(task.rows, g, scratch));
}

}  // namespace

EXPORTED(room) char* room_of_the_page() { return room; }
EXPORTED(room_bytes) size_t size_of_the_room() { return room_bytes; }

// softmax, log_softmax or logsumexp (one number a row). The temperature lies between 2^-60 and 2^60.
EXPORTED(activate)
void activate(Function function, DType dtype, double temperature, int rows, int classes, const void* in, void* out) {
    Task task = rows_task(function, dtype, rows, classes, in, out);
    task.temperature = temperature;
    task.wide ? activation<double>(task) : activation<float>(task);
}

EXPORTED(sparsemax) void sparsemax(DType dtype, int rows, int classes, const void* in, void* out) {
    const Task task = rows_task(Function::sparsemax, dtype, rows, classes, in, out);
    simplex_groups(task, 0, group_count(task), scratch);
}

// The product of softmax's Jacobian and a tangent, row by row.
EXPORTED(softmax_jvp)
void softmax_jvp(DType dtype, int rows, int classes, const void* probabilities, const void* tangent, void* out) {
    Task task = rows_task(Function::softmax_jvp, dtype, rows, classes, probabilities, out);
    task.tangent =
        rows_of(tangent, dtype, static_cast<int>(task.input.outer[0]), static_cast<int>(task.input.inner[0]));
    task.wide ? derivative<double>(task) : derivative<float>(task);
}

// The loss of each row and the gradient of their sum times `scale`.
EXPORTED(cross_entropy)
void cross_entropy(DType dtype, int rows, int classes, const void* logits, const int64_t* label, double smoothing,
                   double scale, double* loss, void* gradient) {
    LossTask task = {};
    task.rows = rows_task(Function::log_softmax, dtype, rows, classes, logits, gradient);
    task.rows.wide = task.rows.wide || smoothing != 0;
    task.label = label;
    task.loss = loss;
    task.smoothing = smoothing;
    task.scale = scale;
    task.rows.wide ? losses<double>(task) : losses<float>(task);
}

// Runs the filters on a row of double and marks in `kept` the tokens that they leave; gives the token drawn from
// these, or -1 where the row holds NaN or +inf, or nothing above -inf.
EXPORTED(draw)
int draw(int vocabulary, const double* logits, int filters, const Filter* filter, const double* parameter,
         uint32_t seed, uint32_t position, unsigned char* kept) {
    SampleTask task = {};
    task.vocabulary = vocabulary;
    Selection<double> selection(task, logits, scratch);
    if (!selection.scan()) return -1;
    for (int i = 0; i < filters; i++) apply_filter(selection, filter[i], parameter[i]);
    selection.mark(kept);
    return static_cast<int>(draw_from(selection, seed, position).token);
}
