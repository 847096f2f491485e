// sigmoid and log_sigmoid of NumPy arrays; NotImplemented for anything else.

#include "numpy_arrays.h"

#include <algorithm>

#include "../caches.h"
#include "../dispatch.h"
#include "../execute.h"
#include "../schedule.h"
#include "bindings.h"
#include "run_released.h"

namespace softmaxlib {
namespace {

constexpr Index unit_elements = least_parallel / 4;  // each costs more than one of a softmax

void run_unit(void* context, Index unit, void*) {
    const SigmoidTask& task = *static_cast<SigmoidTask*>(context);
    const Index first = unit * unit_elements;
    chosen_instruction_set().kernels->sigmoid(task, first, std::min(task.elements, first + unit_elements));
}

// Whether the elements of both lie in one piece, in the same order.
bool lie_alike(PyArrayObject* a, PyArrayObject* b) {
    if (PyArray_IS_C_CONTIGUOUS(a)) return PyArray_IS_C_CONTIGUOUS(b);
    return PyArray_IS_F_CONTIGUOUS(a) && PyArray_IS_F_CONTIGUOUS(b);
}

PyObject* evaluate(PyObject* argument, bool logarithm) {
    SigmoidTask task = {};
    DType type;
    if (!PyArray_CheckExact(argument) || !real_type(PyArray_DESCR(as_array(argument)), type)) Py_RETURN_NOTIMPLEMENTED;
    Owned copy;
    PyArrayObject* x = as_array(argument);
    if (!PyArray_ISONESEGMENT(x)) {
        copy.reset(PyArray_NewCopy(x, NPY_CORDER));
        if (!copy.object) return nullptr;
        x = as_array(copy);
    }
    task.type = type <= DType::float64 ? type : DType::float64;
    Owned descr(reinterpret_cast<PyObject*>(float_descr(x, type)));
    if (!descr.object) return nullptr;
    Owned out(new_result(x, !PyArray_IS_C_CONTIGUOUS(x), PyArray_NDIM(x), PyArray_DIMS(x),
                         reinterpret_cast<PyArray_Descr*>(descr.object)));
    if (!out.object) return nullptr;
    if (!lie_alike(x, as_array(out))) Py_RETURN_NOTIMPLEMENTED;

    set_operand(task.input, x, type);
    task.input.inner[0] = PyArray_ITEMSIZE(x);
    task.output = PyArray_BYTES(as_array(out));
    task.logarithm = logarithm;
    task.stream = static_cast<size_t>(PyArray_NBYTES(as_array(out))) >= least_streamed();
    task.elements = PyArray_SIZE(x);
    const Index units = (task.elements + unit_elements - 1) / unit_elements;
    if (units <= 1) {
        run({run_unit, &task, units, false, nullptr}, 1, Crew::own);
    } else if (Owned done(run_released(run_unit, &task, units, task.elements)); !done.object) {
        return nullptr;
    }
    return PyArray_Return(as_array(out.release()));
}

}  // namespace

PyObject* sigmoid(PyObject*, PyObject* x) { return evaluate(x, false); }
PyObject* log_sigmoid(PyObject*, PyObject* x) { return evaluate(x, true); }

}  // namespace softmaxlib
