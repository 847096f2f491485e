// The Python side of the cross-entropy kernel. Its arrays arrive checked, through the buffer protocol.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <cstring>

#include "execute.h"
#include "losses_module.h"

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
        {"e", DType::float16}, {"f", DType::float32}, {"d", DType::float64}, {"?", DType::uint8}, {"H", DType::bfloat16}};
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

}  // namespace

PyObject* cross_entropy_rows(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != 11) {
        PyErr_SetString(PyExc_TypeError,
                        "expected logits, label, target, weight, where, smoothing, focal, z_loss, scale, losses, gradient");
        return nullptr;
    }
    Buffer logits, label, target, weight, where, losses, gradient;
    auto opened = [](Buffer& buffer, PyObject* array, int flags) { return array == Py_None || buffer.open(array, flags); };
    if (!logits.open(args[0], PyBUF_STRIDES | PyBUF_FORMAT) || !opened(label, args[1], PyBUF_C_CONTIGUOUS) ||
        !opened(target, args[2], PyBUF_STRIDES | PyBUF_FORMAT) || !opened(weight, args[3], PyBUF_C_CONTIGUOUS) ||
        !opened(where, args[4], PyBUF_STRIDES | PyBUF_FORMAT) || !losses.open(args[9], PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) ||
        !opened(gradient, args[10], PyBUF_STRIDES | PyBUF_FORMAT | PyBUF_WRITABLE))
        return nullptr;
    LossTask task = {};
    task.smoothing = PyFloat_AsDouble(args[5]);
    task.focal = PyFloat_AsDouble(args[6]);
    task.z_loss = PyFloat_AsDouble(args[7]);
    task.scale = PyFloat_AsDouble(args[8]);
    if (PyErr_Occurred()) return nullptr;
    Task& rows = task.rows;
    if (!set_rows(rows.input, logits) || (target.held && !set_rows(task.target, target)) ||
        (where.held && !set_rows(rows.where, where)) || (gradient.held && !set_rows(rows.output, gradient))) {
        PyErr_SetString(PyExc_TypeError, "logits, target, where and gradient must be rows of float16, float32, float64 or bool");
        return nullptr;
    }
    rows.function = Function::log_softmax;
    rows.wide = rows.input.dtype == DType::float64 || task.smoothing != 0 || target.held;
    rows.temperature = 1;
    rows.rows = logits.view.shape[0];
    rows.classes = logits.view.shape[1];
    rows.outer = {1, {rows.rows}};
    rows.inner = {1, {rows.classes}};
    rows.stream = gradient.held && gradient.view.len >= least_streamed;
    task.label = label.held ? reinterpret_cast<const int64_t*>(label.data()) : nullptr;
    task.weight = weight.held ? reinterpret_cast<const double*>(weight.data()) : nullptr;
    task.loss = reinterpret_cast<double*>(losses.data());
    if (rows.rows == 0) Py_RETURN_NONE;

    Outcome outcome = execute(task);
    if (outcome == Outcome::interrupted) return nullptr;
    if (outcome == Outcome::no_memory) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

}  // namespace softmaxlib
