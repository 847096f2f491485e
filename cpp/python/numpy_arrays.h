// NumPy's arrays: their types, where they lie, and results in memory that is used again.
#pragma once

#include "owned.h"

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_1_25_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL softmaxlib_numpy
#if !defined(SOFTMAXLIB_STARTS_NUMPY)  // module.cpp, which fills the table of NumPy's functions
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>

#include "../kernels.h"

namespace softmaxlib {

inline PyArrayObject* as_array(PyObject* object) { return reinterpret_cast<PyArrayObject*>(object); }
inline PyArrayObject* as_array(const Owned& owned) { return as_array(owned.object); }

// False for a type that the kernels don't write, or don't read.
bool float_type(PyArray_Descr* descr, DType& type);
bool real_type(PyArray_Descr* descr, DType& type);

bool overlap(PyArrayObject* a, PyArrayObject* b);
bool same_place(PyArrayObject* a, PyArrayObject* b);
bool same_shape_and_type(PyObject* object, PyArrayObject* x);

// Which dimensions hold the classes; false where the axis is none of the array's.
bool read_axes(PyObject* axis, int dimensions, bool reduced[NPY_MAXDIMS]);

void set_operand(Operand& to, PyArrayObject* array, DType type);

// An uninitialized array; large ones lie in memory that is used again.
PyObject* new_result(PyArrayObject* x, bool as_the_input, int dimensions, npy_intp* shape, PyArray_Descr* descr);

}  // namespace softmaxlib
