// The Python side of the cross-entropy kernels. Their arrays arrive checked, through the buffer protocol.

#include <algorithm>
#include <cstring>
#include <new>

#include "../caches.h"
#include "../dispatch.h"
#include "../exact_sum.h"
#include "../execute.h"
#include "../lock.h"
#include "../schedule.h"
#include "bindings.h"
#include "buffer_view.h"

namespace softmaxlib {
namespace {

constexpr bool little_endian = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

bool real_format(const char* format, DType& type, bool& swapped) {
    swapped = *format == (little_endian ? '>' : '<');
    format += std::strchr("@=^<>", *format) != nullptr;
    static const struct {
        const char* format;
        DType type;
    } known[] = {{"e", DType::float16},
                 {"f", DType::float32},
                 {"d", DType::float64},
                 {"?", DType::uint8},
                 {"H", DType::bfloat16}};
    for (const auto& entry : known) {
        if (std::strcmp(format, entry.format) == 0) {
            type = entry.type;
            return true;
        }
    }
    return false;
}

bool set_rows(Operand& operand, const BufferView& buffer) {
    if (buffer.view().ndim != 2 || !real_format(buffer.view().format, operand.dtype, operand.swapped)) return false;
    operand.data = buffer.as<char>();
    operand.outer[0] = buffer.view().strides[0];
    operand.inner[0] = buffer.view().strides[1];
    return true;
}

bool set_elements(Operand& operand, const BufferView& buffer, Index elements) {
    if (!buffer.is_open()) return true;
    if (buffer.view().ndim != 1 || buffer.view().shape[0] != elements ||
        !real_format(buffer.view().format, operand.dtype, operand.swapped))
        return false;
    operand.data = buffer.as<char>();
    operand.inner[0] = buffer.view().strides[0];
    return true;
}

constexpr Index sigmoid_unit = least_parallel / 4;  // elements: each costs more than one of a softmax

void run_sigmoid_losses(void* context, Index unit, void*) {
    const SigmoidLossTask& task = *static_cast<SigmoidLossTask*>(context);
    const Index first = unit * sigmoid_unit;
    chosen_instruction_set().kernels->sigmoid_losses(task, first, std::min(task.elements, first + sigmoid_unit));
}

}  // namespace

PyObject* cross_entropy_rows(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    if (count != 11) {
        PyErr_SetString(
            PyExc_TypeError,
            "expected logits, label, target, weight, where, smoothing, focal, z_loss, scale, losses, gradient");
        return nullptr;
    }
    BufferView logits, label, target, weight, where, losses, gradient;
    if (!logits.open(arguments[0], PyBUF_STRIDES | PyBUF_FORMAT) ||
        !label.open_unless_none(arguments[1], PyBUF_C_CONTIGUOUS) ||
        !target.open_unless_none(arguments[2], PyBUF_STRIDES | PyBUF_FORMAT) ||
        !weight.open_unless_none(arguments[3], PyBUF_C_CONTIGUOUS) ||
        !where.open_unless_none(arguments[4], PyBUF_STRIDES | PyBUF_FORMAT) ||
        !losses.open(arguments[9], PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) ||
        !gradient.open_unless_none(arguments[10], PyBUF_STRIDES | PyBUF_FORMAT | PyBUF_WRITABLE))
        return nullptr;
    LossTask task = {};
    task.smoothing = PyFloat_AsDouble(arguments[5]);
    task.focal = PyFloat_AsDouble(arguments[6]);
    task.z_loss = PyFloat_AsDouble(arguments[7]);
    task.scale = PyFloat_AsDouble(arguments[8]);
    if (PyErr_Occurred()) return nullptr;
    Task& rows = task.rows;
    if (!set_rows(rows.input, logits) || (target.is_open() && !set_rows(task.target, target)) ||
        (where.is_open() && !set_rows(rows.where, where)) || (gradient.is_open() && !set_rows(rows.output, gradient))) {
        PyErr_SetString(PyExc_TypeError,
                        "logits, target, where and gradient must be rows of float16, float32, float64 or bool");
        return nullptr;
    }
    rows.function = Function::log_softmax;
    rows.wide = rows.input.dtype == DType::float64 || task.smoothing != 0 || target.is_open();
    rows.temperature = 1;
    rows.rows = logits.view().shape[0];
    rows.classes = logits.view().shape[1];
    rows.outer = {1, {rows.rows}};
    rows.inner = {1, {rows.classes}};
    rows.stream = gradient.is_open() && static_cast<size_t>(gradient.bytes()) >= least_streamed();
    task.label = label.as<const int64_t>();
    task.weight = weight.as<const double>();
    task.loss = losses.as<double>();
    if (rows.rows == 0) Py_RETURN_NONE;

    Outcome outcome = execute(task);
    if (outcome == Outcome::interrupted) return nullptr;
    if (outcome == Outcome::no_memory) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

PyObject* sum_exactly(PyObject*, PyObject* array) {
    BufferView values;
    if (!values.open(array, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)) return nullptr;
    if (std::strcmp(values.view().format, "d") != 0) {
        PyErr_SetString(PyExc_TypeError, "expected numbers of float64 in one piece");
        return nullptr;
    }
    const double* numbers = values.as<const double>();
    const int64_t count = values.bytes() / values.item();
    try {
        if (count < least_released) return PyFloat_FromDouble(exact_sum(numbers, count));
        double sum;
        {
            Unlocked released;
            sum = exact_sum(numbers, count);
        }
        return PyFloat_FromDouble(sum);
    } catch (const std::bad_alloc&) {
        return PyErr_NoMemory();
    }
}

PyObject* sigmoid_cross_entropy(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    if (count != 9) {
        PyErr_SetString(PyExc_TypeError,
                        "expected logits, target, positive, negative, smoothing, focal, scale, losses, gradient");
        return nullptr;
    }
    BufferView logits, target, positive, negative, losses, gradient;
    constexpr int read = PyBUF_STRIDES | PyBUF_FORMAT, written = read | PyBUF_WRITABLE;
    if (!logits.open(arguments[0], read) || !target.open(arguments[1], read) ||
        !positive.open_unless_none(arguments[2], read) || !negative.open_unless_none(arguments[3], read) ||
        !losses.open(arguments[7], PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | PyBUF_WRITABLE) ||
        !gradient.open_unless_none(arguments[8], written))
        return nullptr;
    SigmoidLossTask task = {};
    task.smoothing = PyFloat_AsDouble(arguments[4]);
    task.focal = PyFloat_AsDouble(arguments[5]);
    task.scale = PyFloat_AsDouble(arguments[6]);
    if (PyErr_Occurred()) return nullptr;
    task.elements = logits.length(0);
    Operand loss = {};
    if (!set_elements(task.logits, logits, task.elements) || !set_elements(task.target, target, task.elements) ||
        !set_elements(task.positive, positive, task.elements) ||
        !set_elements(task.negative, negative, task.elements) ||
        !set_elements(task.gradient, gradient, task.elements) || !set_elements(loss, losses, task.elements) ||
        loss.dtype != DType::float64 || loss.swapped) {
        PyErr_SetString(PyExc_TypeError, "all must be numbers along one axis of one length, and losses float64");
        return nullptr;
    }
    task.loss = losses.as<double>();
    const int threads = task.elements < least_parallel / 2 ? 1 : available_threads();
    const Work work = {run_sigmoid_losses, &task, (task.elements + sigmoid_unit - 1) / sigmoid_unit, false, nullptr};
    if (task.elements < least_released) {
        run(work, 1, Crew::own);
    } else {
        Unlocked released;
        run(work, threads, Crew::own);
    }
    Py_RETURN_NONE;
}

}  // namespace softmaxlib
