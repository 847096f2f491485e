// The Python side of the cross-entropy kernel. Its arrays arrive checked, through the buffer protocol.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <algorithm>
#include <cstring>

#include "dispatch.h"
#include "losses_module.h"
#include "schedule.h"

namespace softmaxlib {
namespace {

struct Buffer {
    Py_buffer view;
    bool held = false;
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() {
        if (held) PyBuffer_Release(&view);
    }
    bool open(PyObject* array, int flags) { return held = PyObject_GetBuffer(array, &view, flags) == 0; }
    char* data() const { return static_cast<char*>(view.buf); }
};

constexpr bool little_endian = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

bool real_format(const char* format, DType& type, bool& swapped) {
    swapped = *format == (little_endian ? '>' : '<');
    format += std::strchr("@=^<>", *format) != nullptr;
    static const struct { const char* format; DType type; } known[] = {
        {"e", DType::float16}, {"f", DType::float32}, {"d", DType::float64}};
    for (const auto& entry : known) {
        if (std::strcmp(format, entry.format) == 0) {
            type = entry.type;
            return true;
        }
    }
    return false;
}

bool set_rows(Operand& operand, const Buffer& buffer) {
    if (buffer.view.ndim != 2 || !real_format(buffer.view.format, operand.dtype, operand.swapped)) return false;
    operand.data = buffer.data();
    operand.outer[0] = buffer.view.strides[0];
    operand.inner[0] = buffer.view.strides[1];
    return true;
}

void run_losses(void* context, long unit, void* scratch) {
    const LossTask& task = *static_cast<LossTask*>(context);
    long groups = group_count(task.rows), first = unit * task.groups_per_unit;
    chosen_instruction_set().kernels->losses(task, first, std::min(groups, first + task.groups_per_unit), scratch);
}

Outcome run_task(LossTask& task) {
    long elements = task.rows.rows * task.rows.classes, groups = group_count(task.rows);
    int threads = elements < least_parallel ? 1 : available_threads();
    task.groups_per_unit = std::max<long>(1, least_parallel / 2 / (group_rows * task.rows.classes));
    if (threads == 1) task.groups_per_unit = groups;
    Work work = {run_losses, &task, (groups + task.groups_per_unit - 1) / task.groups_per_unit, true, nullptr};
    return run(work, threads);
}

constexpr long least_streamed = 16 << 20;

}  // namespace

PyObject* cross_entropy_rows(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != 8) {
        PyErr_SetString(PyExc_TypeError, "expected logits, label, weight, smoothing, z_loss, scale, losses, gradient");
        return nullptr;
    }
    Buffer logits, label, weight, losses, gradient;
    LossTask task = {};
    bool weighted = args[2] != Py_None, with_gradient = args[7] != Py_None;
    if (!logits.open(args[0], PyBUF_STRIDES | PyBUF_FORMAT) || !label.open(args[1], PyBUF_C_CONTIGUOUS) ||
        (weighted && !weight.open(args[2], PyBUF_C_CONTIGUOUS)) ||
        !losses.open(args[6], PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) ||
        (with_gradient && !gradient.open(args[7], PyBUF_STRIDES | PyBUF_FORMAT | PyBUF_WRITABLE)))
        return nullptr;
    task.smoothing = PyFloat_AsDouble(args[3]);
    task.z_loss = PyFloat_AsDouble(args[4]);
    task.scale = PyFloat_AsDouble(args[5]);
    if (PyErr_Occurred()) return nullptr;
    Task& rows = task.rows;
    if (!set_rows(rows.input, logits) || (with_gradient && !set_rows(rows.output, gradient))) {
        PyErr_SetString(PyExc_TypeError, "logits and gradient must be rows of float16, float32 or float64");
        return nullptr;
    }
    rows.function = Function::log_softmax;
    rows.wide = rows.input.dtype == DType::float64 || task.smoothing != 0;
    rows.temperature = 1;
    rows.rows = logits.view.shape[0];
    rows.classes = logits.view.shape[1];
    rows.outer = {1, {rows.rows}};
    rows.inner = {1, {rows.classes}};
    rows.stream = with_gradient && gradient.view.len >= least_streamed;
    task.label = reinterpret_cast<const int64_t*>(label.data());
    task.weight = weighted ? reinterpret_cast<const double*>(weight.data()) : nullptr;
    task.loss = reinterpret_cast<double*>(losses.data());
    if (rows.rows == 0) Py_RETURN_NONE;

    Outcome outcome;
    Py_BEGIN_ALLOW_THREADS
    outcome = run_task(task);
    Py_END_ALLOW_THREADS
    if (outcome == Outcome::no_memory) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

}  // namespace softmaxlib
