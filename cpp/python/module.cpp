// The module of the kernels: what Python calls, what it says of itself, and what it lends to other compiled modules.

#define SOFTMAXLIB_STARTS_NUMPY
#include "numpy_arrays.h"

#include <stdexcept>
#include <string>
#include <vector>

#include "../caches.h"
#include "../dispatch.h"
#include "../interface.h"
#include "../interrupt.h"
#include "../threads.h"
#include "bindings.h"

namespace {

using namespace softmaxlib;

PyObject* configuration(PyObject*, PyObject*) {
    Owned supported(PyList_New(0));
    if (!supported.object) return nullptr;
    for (const InstructionSet& set : instruction_sets()) {
        Owned entry(Py_BuildValue("(ssO)", set.name, set.needs, set.supported() ? Py_True : Py_False));
        if (!entry.object || PyList_Append(supported.object, entry.object) < 0) return nullptr;
    }
    return Py_BuildValue("{s:s,s:O,s:i,s:n,s:(nnn),s:n,s:s,s:s}", "instruction_set",
                         chosen_instruction_set().kernels->name, "instruction_sets", supported.object, "threads",
                         available_threads(), "buffer_bytes", static_cast<Py_ssize_t>(most_kept_bytes()), "caches",
                         caches().first, caches().second, caches().third, "least_streamed", least_streamed(),
                         "compiler",
#if defined(__clang__)
                         "clang " __clang_version__,
#elif defined(__GNUC__)
                         "gcc " __VERSION__,
#else
                         "unknown",
#endif
                         "numpy_api", std::to_string(NPY_TARGET_VERSION).c_str());
}

PyObject* limit_threads_of_caller(PyObject*, PyObject* number) {
    const long most = PyLong_AsLong(number);
    if (PyErr_Occurred()) return nullptr;
    limit_threads(most > 0 && most < 1 << 16 ? static_cast<int>(most) : 0);
    Py_RETURN_NONE;
}

// The two parts of the base-2 exponential of float32 numbers, for the sweep over all of them.
PyObject* exponential_parts(PyObject*, PyObject* argument) {
    Owned x(PyArray_FROMANY(argument, NPY_FLOAT, 1, 1, NPY_ARRAY_CARRAY_RO));
    if (!x.object) return nullptr;
    npy_intp n = PyArray_SIZE(as_array(x));
    Owned value(PyArray_SimpleNew(1, &n, NPY_FLOAT)), excess(PyArray_SimpleNew(1, &n, NPY_FLOAT));
    if (!value.object || !excess.object) return nullptr;
    chosen_instruction_set().kernels->exponential(static_cast<float*>(PyArray_DATA(as_array(x))),
                                                  static_cast<float*>(PyArray_DATA(as_array(value))),
                                                  static_cast<float*>(PyArray_DATA(as_array(excess))), n);
    return PyTuple_Pack(2, value.object, excess.object);
}

PyMethodDef methods[] = {
    {"cross_entropy_rows", as_function(cross_entropy_rows), METH_FASTCALL, nullptr},
    {"exact_sum", sum_exactly, METH_O, nullptr},
    {"sigmoid_cross_entropy", as_function(sigmoid_cross_entropy), METH_FASTCALL, nullptr},
    {"sigmoid", sigmoid, METH_O, nullptr},
    {"log_sigmoid", log_sigmoid, METH_O, nullptr},
    {"sample", as_function(sample_tokens), METH_FASTCALL, nullptr},
    {"judge", as_function(judge_rows), METH_FASTCALL, nullptr},
    {"score", as_function(score_rows), METH_FASTCALL, nullptr},
    {"empty", as_function(empty_array), METH_FASTCALL, nullptr},
    {"name_actions", as_function(name_actions), METH_FASTCALL, nullptr},
    {"resembles", as_function(resembles), METH_FASTCALL, nullptr},
    {"sum_bins", as_function(sum_bins), METH_FASTCALL, nullptr},
    {"sum_bin_sets", as_function(sum_bin_sets), METH_FASTCALL, nullptr},
    {"pick_numbers", as_function(pick_numbers), METH_FASTCALL, nullptr},
    {"count_cells", as_function(count_cells), METH_FASTCALL, nullptr},
    {"find_order", as_function(find_order), METH_FASTCALL, nullptr},
    {"draw_counts", as_function(draw_counts), METH_FASTCALL, nullptr},
    {"draw_sums", as_function(draw_sums), METH_FASTCALL, nullptr},
    {"sum_by_key", as_function(sum_by_key), METH_FASTCALL, nullptr},
    {"sum_rows", sum_rows, METH_O, nullptr},
    {"sum_to_ranks", as_function(sum_to_ranks), METH_FASTCALL, nullptr},
    {"configuration", configuration, METH_NOARGS, nullptr},
    {"limit_threads", limit_threads_of_caller, METH_O, nullptr},
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
    if (PyModule_AddFunctions(module, activation_methods) < 0) return -1;
    Owned type(kernel_function_type(module));
    if (!type.object || PyModule_AddObjectRef(module, "KernelFunction", type.object) < 0) return -1;
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

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "softmaxlib._kernels", nullptr, 0, methods, slots, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__kernels() { return PyModuleDef_Init(&definition); }
