// The functions of softmaxlib._kernels, each in the file of its kind. src/softmaxlib/_kernels.pyi has their types.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

namespace softmaxlib {

// softmax and its kin: array in, array out. The last entry is null.
extern PyMethodDef activation_methods[];

// (logits, label, target, weight, where, smoothing, focal, z_loss, scale, losses, gradient): writes the last two. One
// of label and target is None, and any of weight, where and gradient may be.
PyObject* cross_entropy_rows(PyObject* module, PyObject* const* arguments, Py_ssize_t count);

// Of a contiguous array of float64: the sum, the same in any order.
PyObject* sum_exactly(PyObject* module, PyObject* array);

// sample(logits, source, filters, parameters, seed, position, token, logprob, processed_logprob) writes the last
// three and returns the first draw whose row cannot be sampled from, or -1. The caller has checked the arguments.
PyObject* sample_tokens(PyObject* module, PyObject* const* arguments, Py_ssize_t count);

template <class F> PyCFunction as_function(F f) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(f));
}

}  // namespace softmaxlib
