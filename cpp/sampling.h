// The Python side of sampling: buffers in, tokens out.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

namespace softmaxlib {

// sample(logits, source, filters, parameters, seed, position, token, logprob, processed_logprob) writes the last
// three and returns the first draw whose row cannot be sampled from, or -1. The caller has checked the arguments.
PyObject* sample_tokens(PyObject* module, PyObject* const* arguments, Py_ssize_t count);

}  // namespace softmaxlib
