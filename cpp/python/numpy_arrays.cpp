#include "numpy_arrays.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "../buffers.h"

namespace softmaxlib {
namespace {

int bfloat16_type = -1;  // the number under which ml_dtypes registered it, once seen

// Half-open range of bytes that the elements of an array lie in.
void byte_range(PyArrayObject* a, const char*& low, const char*& high) {
    low = high = PyArray_BYTES(a);
    for (int d = 0; d < PyArray_NDIM(a); d++) {
        npy_intp span = (PyArray_DIM(a, d) - 1) * PyArray_STRIDE(a, d);
        (span < 0 ? low : high) += span;
    }
    high += PyArray_ITEMSIZE(a);
}
// NumPy's interface to an allocator of arrays' memory, over the buffers that are used again.
void* buffer_malloc(void*, size_t size) { return take_buffer(size); }
void* buffer_calloc(void*, size_t count, size_t size) {
    void* buffer = size && count > SIZE_MAX / size ? nullptr : take_buffer(count * size);
    return buffer ? std::memset(buffer, 0, count * size) : nullptr;
}
void buffer_free(void*, void* buffer, size_t) { give_back_buffer(buffer); }
void* buffer_realloc(void*, void* buffer, size_t size) { return resize_buffer(buffer, size); }
PyDataMem_Handler buffer_handler = {
    "softmaxlib", 1, {nullptr, buffer_malloc, buffer_calloc, buffer_realloc, buffer_free}};

// While it lives, NumPy allocates from the buffers; for large arrays only.
class ReusedMemory {
    Owned previous_;

  public:
    explicit ReusedMemory(size_t bytes) {
        if (bytes < least_buffer || most_kept_bytes() == 0) return;
        static PyObject* capsule = PyCapsule_New(&buffer_handler, "mem_handler", nullptr);
        if (capsule) previous_.reset(PyDataMem_SetHandler(capsule));
        PyErr_Clear();
    }
    ~ReusedMemory() {
        if (!previous_.object) return;
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        Owned ours(PyDataMem_SetHandler(previous_.object));
        PyErr_Restore(type, value, traceback);
    }
};

}  // namespace

bool is_bfloat16(PyArray_Descr* descr) {
    if (!PyDataType_ISUSERDEF(descr) || PyDataType_ELSIZE(descr) != 2) return false;
    if (descr->type_num != bfloat16_type && std::string(descr->typeobj->tp_name).find("bfloat16") == std::string::npos)
        return false;
    bfloat16_type = descr->type_num;
    return true;
}
bool integer_type(PyArray_Descr* descr, DType& type) {
    static const DType integers[2][4] = {{DType::int8, DType::int16, DType::int32, DType::int64},
                                         {DType::uint8, DType::uint16, DType::uint32, DType::uint64}};
    bool is_unsigned = PyTypeNum_ISUNSIGNED(descr->type_num) && descr->type_num != NPY_BOOL;
    if (!is_unsigned && !PyTypeNum_ISSIGNED(descr->type_num)) return false;
    int size = static_cast<int>(PyDataType_ELSIZE(descr)), log = 0;
    while (1 << log < size) log++;
    if (log > 3) return false;
    type = integers[is_unsigned][log];
    return true;
}

bool overlap(PyArrayObject* a, PyArrayObject* b) {
    const char *low_a, *high_a, *low_b, *high_b;
    byte_range(a, low_a, high_a);
    byte_range(b, low_b, high_b);
    return low_a < high_b && low_b < high_a && PyArray_SIZE(a) != 0 && PyArray_SIZE(b) != 0;
}
bool same_place(PyArrayObject* a, PyArrayObject* b) {
    int n = PyArray_NDIM(a);
    return PyArray_DATA(a) == PyArray_DATA(b) && n == PyArray_NDIM(b) && PyArray_ITEMSIZE(a) == PyArray_ITEMSIZE(b) &&
           std::equal(PyArray_STRIDES(a), PyArray_STRIDES(a) + n, PyArray_STRIDES(b)) &&
           PyArray_DESCR(a)->type_num == PyArray_DESCR(b)->type_num;
}

bool same_shape_and_type(PyObject* object, PyArrayObject* x) {
    if (!PyArray_Check(object)) return false;
    PyArrayObject* a = reinterpret_cast<PyArrayObject*>(object);
    int n = PyArray_NDIM(a);
    return n == PyArray_NDIM(x) && std::equal(PyArray_DIMS(a), PyArray_DIMS(a) + n, PyArray_DIMS(x)) &&
           PyArray_DESCR(a)->type_num == PyArray_DESCR(x)->type_num;
}

bool read_axes(PyObject* axis, int dimensions, bool reduced[NPY_MAXDIMS]) {
    std::fill(reduced, reduced + dimensions, axis == Py_None);
    if (axis == Py_None) return true;
    auto mark = [&](PyObject* item) {
        if (PyBool_Check(item)) return false;
        Owned index(PyNumber_Index(item));
        if (!index.object) return false;
        long k = PyLong_AsLong(index.object);
        if (PyErr_Occurred() || k < -dimensions || k >= dimensions) return false;
        bool& place = reduced[k < 0 ? k + dimensions : k];
        bool repeated = place;
        place = true;
        return !repeated;
    };
    if (!PyTuple_Check(axis)) return mark(axis);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(axis); i++)
        if (!mark(PyTuple_GET_ITEM(axis, i))) return false;
    return true;
}

PyArray_Descr* float_descr(PyArrayObject* x, DType type) {
    if (type > DType::float64) return PyArray_DescrFromType(NPY_DOUBLE);
    if (PyArray_ISBYTESWAPPED(x)) return PyArray_DescrNewByteorder(PyArray_DESCR(x), NPY_NATIVE);
    Py_INCREF(PyArray_DESCR(x));
    return PyArray_DESCR(x);
}

PyObject* new_result(PyArrayObject* x, bool as_the_input, int dimensions, npy_intp* shape, PyArray_Descr* descr) {
    size_t bytes =
        static_cast<size_t>(PyArray_MultiplyList(shape, dimensions)) * static_cast<size_t>(PyDataType_ELSIZE(descr));
    ReusedMemory memory(bytes);
    Py_INCREF(descr);
    return as_the_input ? PyArray_NewLikeArray(x, NPY_KEEPORDER, descr, 0) : PyArray_Empty(dimensions, shape, descr, 0);
}

}  // namespace softmaxlib
