// Arguments of the passes over rows of logits: arrays as memory, and the errors.
#pragma once

#include "buffer_view.h"

#include <string>

#include "../decision_kernels.h"

namespace softmaxlib {

inline PyObject* refuse(const char* expected) {
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, expected);
    return nullptr;
}

inline bool is_tuple_of(PyObject* object, Py_ssize_t length) {
    return PyTuple_Check(object) && PyTuple_GET_SIZE(object) == length;
}

inline bool read_rows(const BufferView& values, RowsOfClasses& rows) {
    const Py_buffer& view = values.view();
    if (view.ndim != 2 || !view.format) return false;
    const std::string format = view.format[0] == '=' ? view.format + 1 : view.format;  // unaligned
    if (format != "f" && format != "d") return false;
    rows = {static_cast<const char*>(view.buf),
            format == "d",
            view.shape[0],
            view.shape[1],
            view.strides[0],
            view.strides[1],
            false,
            0};
    return true;
}

template <int count> bool open_all(BufferView (&buffers)[count], PyObject* tuple, int flags) {
    for (int i = 0; i < count; i++)
        if (!buffers[i].open_unless_none(PyTuple_GET_ITEM(tuple, i), flags)) return false;
    return true;
}

// True if every buffer that was given has room for this many bytes.
template <int count> bool have_bytes(const BufferView (&buffers)[count], const Py_ssize_t (&bytes)[count]) {
    for (int i = 0; i < count; i++)
        if (buffers[i].template as<void>() && buffers[i].bytes() != bytes[i]) return false;
    return true;
}

}  // namespace softmaxlib
