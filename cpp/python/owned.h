// A reference to an object of Python that is ours.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

namespace softmaxlib {

struct Owned {
    PyObject* object;
    explicit Owned(PyObject* o = nullptr) : object(o) {}
    Owned(const Owned&) = delete;
    Owned& operator=(const Owned&) = delete;
    ~Owned() { Py_XDECREF(object); }
    void reset(PyObject* o) {
        Py_XDECREF(object);
        object = o;
    }
    PyObject* release() {
        PyObject* o = object;
        object = nullptr;
        return o;
    }
};

}  // namespace softmaxlib
