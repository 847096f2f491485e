// Memory of an array, by Python's buffer protocol, for as long as the view lives.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "../index.h"

namespace softmaxlib {

class BufferView {
    Py_buffer view_ = {};

  public:
    BufferView() = default;
    BufferView(const BufferView&) = delete;
    BufferView& operator=(const BufferView&) = delete;
    ~BufferView() {
        if (view_.obj) PyBuffer_Release(&view_);
    }

    // False, with Python's error set, where the object has no such memory.
    bool open(PyObject* object, int flags) { return PyObject_GetBuffer(object, &view_, flags) == 0; }
    // The same, but None leaves it empty.
    bool open_unless_none(PyObject* object, int flags) { return object == Py_None || open(object, flags); }

    bool is_open() const { return view_.obj != nullptr; }
    // Null where it is empty.
    template <class T> T* as() const { return static_cast<T*>(view_.buf); }
    const Py_buffer& view() const { return view_; }
    Py_ssize_t bytes() const { return view_.len; }
    Py_ssize_t item() const { return view_.itemsize; }
    Index length(int dimension) const { return view_.ndim > dimension ? view_.shape[dimension] : 0; }
};

}  // namespace softmaxlib
