// The Python side of the kernels: reads NumPy arrays, and hands a Task to the schedule. A function here returns
// NotImplemented for everything that it doesn't take, wrong arguments included: softmaxlib._checks says what is wrong.
//
// Written on CPython's and NumPy's own interfaces: the call must cost less than the softmax of ten numbers.

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_1_25_API_VERSION
#include <numpy/arrayobject.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

#include "buffers.h"
#include "dispatch.h"
#include "interface.h"
#include "interrupt.h"
#include "layout.h"
#include "losses_module.h"
#include "sampling.h"

namespace {

using namespace softmaxlib;

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
    PyArrayObject* array() const { return reinterpret_cast<PyArrayObject*>(object); }
    PyObject* release() {
        PyObject* o = object;
        object = nullptr;
        return o;
    }
};

int bfloat16_type = -1;  // the number under which ml_dtypes registered it, once seen

bool float_type(PyArray_Descr* descr, DType& type) {
    switch (descr->type_num) {
        case NPY_HALF: type = DType::float16; return true;
        case NPY_FLOAT: type = DType::float32; return true;
        case NPY_DOUBLE: type = DType::float64; return true;
        default: break;
    }
    if (PyDataType_ISUSERDEF(descr) && PyDataType_ELSIZE(descr) == 2) {
        if (descr->type_num == bfloat16_type ||
            std::string(descr->typeobj->tp_name).find("bfloat16") != std::string::npos) {
            bfloat16_type = descr->type_num;
            type = DType::bfloat16;
            return true;
        }
    }
    return false;
}
bool real_type(PyArray_Descr* descr, DType& type) {
    if (float_type(descr, type)) return true;
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

// Half-open range of bytes that the elements of an array lie in.
void byte_range(PyArrayObject* a, const char*& low, const char*& high) {
    low = high = PyArray_BYTES(a);
    for (int d = 0; d < PyArray_NDIM(a); d++) {
        npy_intp span = (PyArray_DIM(a, d) - 1) * PyArray_STRIDE(a, d);
        (span < 0 ? low : high) += span;
    }
    high += PyArray_ITEMSIZE(a);
}
bool overlap(PyArrayObject* a, PyArrayObject* b) {
    if (PyArray_SIZE(a) == 0 || PyArray_SIZE(b) == 0) return false;
    const char *low_a, *high_a, *low_b, *high_b;
    byte_range(a, low_a, high_a);
    byte_range(b, low_b, high_b);
    return low_a < high_b && low_b < high_a;
}
bool same_place(PyArrayObject* a, PyArrayObject* b) {
    int n = PyArray_NDIM(a);
    return PyArray_DATA(a) == PyArray_DATA(b) && n == PyArray_NDIM(b) && PyArray_ITEMSIZE(a) == PyArray_ITEMSIZE(b) &&
           std::equal(PyArray_STRIDES(a), PyArray_STRIDES(a) + n, PyArray_STRIDES(b)) &&
           PyArray_DESCR(a)->type_num == PyArray_DESCR(b)->type_num;
}

// NotImplemented, without the error that told so.
PyObject* not_taken() {
    PyErr_Clear();
    Py_RETURN_NOTIMPLEMENTED;
}

struct Call {
    PyObject *x, *axis, *temperature, *where, *dtype, *out, *sink;
    bool keepdims;
    PyObject* tangent = nullptr;
};

bool is_alike(PyObject* object, PyArrayObject* x) {
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

void set_operand(Operand& to, PyArrayObject* array, DType type) {
    to.data = PyArray_BYTES(array);
    to.dtype = type;
    to.swapped = PyArray_ISBYTESWAPPED(array);
}

#if defined(__linux__)
// NumPy's interface to an allocator of arrays' memory, over the buffers that are used again.
void* buffer_malloc(void*, size_t size) { return take_buffer(size); }
void* buffer_calloc(void*, size_t count, size_t size) {
    void* buffer = size && count > SIZE_MAX / size ? nullptr : take_buffer(count * size);
    return buffer ? std::memset(buffer, 0, count * size) : nullptr;
}
void buffer_free(void*, void* buffer, size_t) { give_back_buffer(buffer); }
void* buffer_realloc(void*, void* buffer, size_t size) { return resize_buffer(buffer, size); }
PyDataMem_Handler buffer_handler = {"softmaxlib", 1, {nullptr, buffer_malloc, buffer_calloc, buffer_realloc, buffer_free}};

// While it lives, NumPy allocates from the buffers; for large arrays only.
class Buffers {
    Owned previous_;

  public:
    explicit Buffers(size_t bytes) {
        if (bytes < least_buffer || most_kept_bytes() == 0) return;
        static PyObject* capsule = PyCapsule_New(&buffer_handler, "mem_handler", nullptr);
        if (capsule) previous_.reset(PyDataMem_SetHandler(capsule));
        PyErr_Clear();
    }
    ~Buffers() {
        if (!previous_.object) return;
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        Owned ours(PyDataMem_SetHandler(previous_.object));
        PyErr_Restore(type, value, traceback);
    }
};
#else
struct Buffers {
    explicit Buffers(size_t) {}
};
#endif

PyObject* new_result(PyArrayObject* x, bool as_the_input, int dimensions, npy_intp* shape, PyArray_Descr* descr) {
    size_t bytes = static_cast<size_t>(PyArray_MultiplyList(shape, dimensions)) * static_cast<size_t>(PyDataType_ELSIZE(descr));
    Buffers buffers(bytes);
    Py_INCREF(descr);
    return as_the_input ? PyArray_NewLikeArray(x, NPY_KEEPORDER, descr, 0) : PyArray_Empty(dimensions, shape, descr, 0);
}

bool fill_reduced_empty(PyArrayObject* out) {
    Owned value(PyFloat_FromDouble(-INFINITY));
    return value.object && PyArray_FillWithScalar(out, value.object) == 0;
}

PyObject* evaluate(Function function, const Call& call) {
    if (!PyArray_CheckExact(call.x)) Py_RETURN_NOTIMPLEMENTED;  // a subclass may hold a mask
    PyArrayObject* x = reinterpret_cast<PyArrayObject*>(call.x);
    Task task;
    DType in_type;
    if (!real_type(PyArray_DESCR(x), in_type)) Py_RETURN_NOTIMPLEMENTED;
    task.function = function;
    task.temperature = 1;
    if (call.temperature) {
        if (!PyFloat_Check(call.temperature) && !PyLong_CheckExact(call.temperature)) Py_RETURN_NOTIMPLEMENTED;
        task.temperature = PyFloat_AsDouble(call.temperature);
        if (!(task.temperature > 0 && std::isfinite(task.temperature))) return not_taken();
    }
    bool reduced[NPY_MAXDIMS];
    int n = PyArray_NDIM(x);
    if (!read_axes(call.axis, n, reduced)) return not_taken();

    if (call.tangent && !is_alike(call.tangent, x)) {
        PyErr_SetString(PyExc_TypeError, "expected two arrays of one shape and dtype");
        return nullptr;
    }

    // The result's dtype, and the type it is computed in.
    bool is_float = in_type <= DType::float64;
    DType out_type = is_float ? in_type : DType::float64;
    Owned descr;
    if (call.dtype && call.dtype != Py_None) {
        PyArray_Descr* wanted = nullptr;
        if (!PyArray_DescrConverter(call.dtype, &wanted)) return not_taken();
        descr.reset(reinterpret_cast<PyObject*>(wanted));
        if (!float_type(wanted, out_type)) Py_RETURN_NOTIMPLEMENTED;
    } else if (!is_float) {
        descr.reset(reinterpret_cast<PyObject*>(PyArray_DescrFromType(NPY_DOUBLE)));
    } else if (PyArray_ISBYTESWAPPED(x)) {
        descr.reset(reinterpret_cast<PyObject*>(PyArray_DescrNewByteorder(PyArray_DESCR(x), NPY_NATIVE)));
    } else {
        descr.reset(Py_NewRef(reinterpret_cast<PyObject*>(PyArray_DESCR(x))));
    }
    PyArray_Descr* result_descr = reinterpret_cast<PyArray_Descr*>(descr.object);
    task.wide = in_type >= DType::float64 || out_type == DType::float64;
    set_temperature(task, task.temperature);

    // Where it goes.
    bool reduces = function == Function::logsumexp;
    npy_intp shape[NPY_MAXDIMS];
    int out_dims = 0;
    for (int d = 0; d < n; d++) {
        if (!reduces || !reduced[d]) shape[out_dims++] = PyArray_DIM(x, d);
        else if (call.keepdims) shape[out_dims++] = 1;
    }
    Owned out;
    bool given = call.out && call.out != Py_None;
    if (given) {
        if (!PyArray_CheckExact(call.out)) Py_RETURN_NOTIMPLEMENTED;
        out.reset(Py_NewRef(call.out));
        DType given_type;
        bool right = float_type(PyArray_DESCR(out.array()), given_type) && given_type == out_type &&
                     PyArray_NDIM(out.array()) == out_dims &&
                     std::equal(shape, shape + out_dims, PyArray_DIMS(out.array()));
        if (!right || !PyArray_ISWRITEABLE(out.array())) Py_RETURN_NOTIMPLEMENTED;
    } else {
        out.reset(new_result(x, !reduces && !PyArray_IS_C_CONTIGUOUS(x), out_dims, shape, result_descr));
    }
    if (!out.object) return nullptr;

    Owned copy, where, sink, tangent;
    if (call.where && call.where != Py_None) {
        if (!PyArray_CheckExact(call.where) || PyArray_TYPE(reinterpret_cast<PyArrayObject*>(call.where)) != NPY_BOOL)
            Py_RETURN_NOTIMPLEMENTED;
        Owned numpy(PyImport_ImportModule("numpy"));
        Owned dims(PyArray_IntTupleFromIntp(n, PyArray_DIMS(x)));
        where.reset(PyObject_CallMethod(numpy.object, "broadcast_to", "OO", call.where, dims.object));
        if (!where.object) return not_taken();
        if (overlap(where.array(), out.array())) where.reset(PyArray_NewCopy(where.array(), NPY_CORDER));
        if (!where.object) return nullptr;
    }
    if (call.sink && call.sink != Py_None) sink.reset(Py_NewRef(call.sink));
    if (given && overlap(x, out.array()) && (reduces || !same_place(x, out.array()))) {
        copy.reset(PyArray_NewCopy(x, NPY_KEEPORDER));
        if (!copy.object) return nullptr;
        x = copy.array();
    }

    if (call.tangent) {
        tangent.reset(Py_NewRef(call.tangent));
        if (given && overlap(tangent.array(), out.array()) && !same_place(tangent.array(), out.array()))
            tangent.reset(PyArray_NewCopy(tangent.array(), NPY_KEEPORDER));
        if (!tangent.object) return nullptr;
    }
    set_operand(task.input, x, in_type);
    set_operand(task.output, out.array(), out_type);
    task.where.data = task.sink.data = task.tangent.data = nullptr;
    if (tangent.object) set_operand(task.tangent, tangent.array(), in_type);
    if (where.object) set_operand(task.where, where.array(), DType::uint8);
    if (sink.object) set_operand(task.sink, sink.array(), DType::float64);
    auto strides = [](const Owned& array) { return array.object ? PyArray_STRIDES(array.array()) : nullptr; };
    Layout{n, PyArray_DIMS(x), PyArray_STRIDES(x), strides(out), strides(where), strides(sink), strides(tangent), reduces, call.keepdims}.fill(task, reduced);
    task.stream = !reduces && PyArray_NBYTES(out.array()) >= least_streamed;
    if (task.rows > 0 && task.classes > 0) {
        Outcome outcome = execute(task);
        if (outcome == Outcome::no_memory) PyErr_NoMemory();
        if (outcome != Outcome::done) return nullptr;
    } else if (reduces && task.rows > 0 && !fill_reduced_empty(out.array())) {
        return nullptr;
    }
    return given ? out.release() : PyArray_Return(reinterpret_cast<PyArrayObject*>(out.release()));
}

template <Function function> PyObject* call_activation(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != 7) {
        PyErr_SetString(PyExc_TypeError, "expected x, axis, temperature, where, dtype, out, sink");
        return nullptr;
    }
    return evaluate(function, {args[0], args[1], args[2], args[3], args[4], args[5], args[6], false});
}
PyObject* call_logsumexp(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != 6) {
        PyErr_SetString(PyExc_TypeError, "expected x, axis, where, keepdims, dtype, out");
        return nullptr;
    }
    int keepdims = PyObject_IsTrue(args[3]);
    if (keepdims < 0) return nullptr;
    return evaluate(Function::logsumexp, {args[0], args[1], nullptr, args[2], args[4], args[5], nullptr, keepdims != 0});
}

template <Function function> PyObject* call_simplex(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "expected x, axis, where");
        return nullptr;
    }
    return evaluate(function, {args[0], args[1], nullptr, args[2], nullptr, nullptr, nullptr, false});
}

template <Function function> PyObject* call_derivative(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != 5) {
        PyErr_SetString(PyExc_TypeError, "expected x, tangent, axis, where, out");
        return nullptr;
    }
    return evaluate(function, {args[0], args[2], nullptr, args[3], nullptr, args[4], nullptr, false, args[1]});
}

PyObject* configuration(PyObject*, PyObject*) {
    Owned supported(PyList_New(0));
    if (!supported.object) return nullptr;
    for (const InstructionSet& set : instruction_sets()) {
        Owned entry(Py_BuildValue("(ssO)", set.name, set.needs, set.supported() ? Py_True : Py_False));
        if (!entry.object || PyList_Append(supported.object, entry.object) < 0) return nullptr;
    }
    return Py_BuildValue("{s:s,s:O,s:i,s:n,s:s,s:s}", "instruction_set", chosen_instruction_set().kernels->name,
                         "instruction_sets", supported.object, "threads", available_threads(), "buffer_bytes",
                         static_cast<Py_ssize_t>(most_kept_bytes()), "compiler",
#if defined(__clang__)
                         "clang " __clang_version__,
#elif defined(__GNUC__)
                         "gcc " __VERSION__,
#else
                         "unknown",
#endif
                         "numpy_api", std::to_string(NPY_TARGET_VERSION).c_str());
}

// The two parts of the base-2 exponential of float32 numbers, for the sweep over all of them.
PyObject* exponential_parts(PyObject*, PyObject* argument) {
    Owned x(PyArray_FROMANY(argument, NPY_FLOAT, 1, 1, NPY_ARRAY_CARRAY_RO));
    if (!x.object) return nullptr;
    npy_intp n = PyArray_SIZE(x.array());
    Owned value(PyArray_SimpleNew(1, &n, NPY_FLOAT)), excess(PyArray_SimpleNew(1, &n, NPY_FLOAT));
    if (!value.object || !excess.object) return nullptr;
    chosen_instruction_set().kernels->exponential(static_cast<float*>(PyArray_DATA(x.array())),
                                                  static_cast<float*>(PyArray_DATA(value.array())),
                                                  static_cast<float*>(PyArray_DATA(excess.array())), n);
    return PyTuple_Pack(2, value.object, excess.object);
}

template <class F> PyCFunction as_function(F f) { return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(f)); }

PyMethodDef methods[] = {
    {"softmax", as_function(call_activation<Function::softmax>), METH_FASTCALL, nullptr},
    {"log_softmax", as_function(call_activation<Function::log_softmax>), METH_FASTCALL, nullptr},
    {"logsumexp", as_function(call_logsumexp), METH_FASTCALL, nullptr},
    {"cross_entropy_rows", as_function(cross_entropy_rows), METH_FASTCALL, nullptr},
    {"sample", as_function(softmaxlib::sample_tokens), METH_FASTCALL, nullptr},
    {"sparsemax", as_function(call_simplex<Function::sparsemax>), METH_FASTCALL, nullptr},
    {"entmax15", as_function(call_simplex<Function::entmax15>), METH_FASTCALL, nullptr},
    {"softmax_jvp", as_function(call_derivative<Function::softmax_jvp>), METH_FASTCALL, nullptr},
    {"log_softmax_jvp", as_function(call_derivative<Function::log_softmax_jvp>), METH_FASTCALL, nullptr},
    {"log_softmax_vjp", as_function(call_derivative<Function::log_softmax_vjp>), METH_FASTCALL, nullptr},
    {"log_softmax_vjp_of_logarithms", as_function(call_derivative<Function::log_softmax_vjp_of_logarithms>), METH_FASTCALL, nullptr},
    {"configuration", configuration, METH_NOARGS, nullptr},
    {"exponential_parts", exponential_parts, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

Interface lent;

int start(PyObject* module) {
    import_array1(-1);
    if (!watch_signals()) return -1;
    try {
        chosen_instruction_set();
        most_kept_bytes();
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_ImportError, error.what());
        return -1;
    }
    lent = {sizeof(Task), sizeof(LossTask), execute, execute, take_buffer, give_back_buffer, most_kept_bytes()};
    Owned capsule(PyCapsule_New(&lent, interface_capsule, nullptr));
    return capsule.object ? PyModule_AddObjectRef(module, "interface", capsule.object) : -1;
}

PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(start)},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, nullptr},
};

PyModuleDef definition = {PyModuleDef_HEAD_INIT, "softmaxlib._kernels", nullptr, 0, methods, slots, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__kernels() { return PyModuleDef_Init(&definition); }
