// The functions of the loss kernels that Python calls.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

namespace softmaxlib {

// (logits, label, target, weight, where, smoothing, focal, z_loss, scale, losses, gradient): writes the last two. One
// of label and target is None, and any of weight, where and gradient may be.
PyObject* cross_entropy_rows(PyObject* module, PyObject* const* args, Py_ssize_t count);

}  // namespace softmaxlib
