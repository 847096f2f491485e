// The functions of the loss kernels that Python calls.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

namespace softmaxlib {

// (logits, label, weight or None, smoothing, z_loss, scale, losses, gradient or None): writes the last two.
PyObject* cross_entropy_rows(PyObject* module, PyObject* const* args, Py_ssize_t count);

}  // namespace softmaxlib
