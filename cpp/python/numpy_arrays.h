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
bool is_bfloat16(PyArray_Descr* descr);
bool integer_type(PyArray_Descr* descr, DType& type);
inline bool float_type(PyArray_Descr* descr, DType& type) {
    switch (descr->type_num) {
        case NPY_HALF: type = DType::float16; return true;
        case NPY_FLOAT: type = DType::float32; return true;
        case NPY_DOUBLE: type = DType::float64; return true;
        default: type = DType::bfloat16; return is_bfloat16(descr);
    }
}
inline bool real_type(PyArray_Descr* descr, DType& type) {
    return float_type(descr, type) || integer_type(descr, type);
}

bool overlap(PyArrayObject* a, PyArrayObject* b);
bool same_place(PyArrayObject* a, PyArrayObject* b);
bool same_shape_and_type(PyObject* object, PyArrayObject* x);

// Finds the dimensions that hold the classes; returns false if the axis is out of range.
bool read_axes(PyObject* axis, int dimensions, bool reduced[NPY_MAXDIMS]);

inline void set_operand(Operand& to, PyArrayObject* array, DType type) {
    to.data = PyArray_BYTES(array);
    to.dtype = type;
    to.swapped = PyArray_ISBYTESWAPPED(array);
}

// The dtype of a result in the type of the input, if that is one of floats, else in float64; in this machine's byte
// order.
PyArray_Descr* float_descr(PyArrayObject* x, DType type);

// An uninitialized array; large ones lie in memory that is used again.
PyObject* new_result(PyArrayObject* x, bool as_the_input, int dimensions, npy_intp* shape, PyArray_Descr* descr);

}  // namespace softmaxlib
