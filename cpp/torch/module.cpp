// The fast path of softmaxlib.torch for plain tensors on the CPU: the kernels without PyTorch's dispatcher, and
// backward without Python. A function here returns NotImplemented for everything else, wrong arguments included: the
// operators in Python take those, and raise the errors.

#include "loss.h"

namespace {

using namespace softmaxlib;

bool read_dims(PyObject* dim, int64_t dimensions, Dims& dims) {
    dims = 0;
    auto mark = [&](PyObject* item) {
        if (!PyLong_Check(item) || PyBool_Check(item)) return false;
        int overflow;
        long d = PyLong_AsLongAndOverflow(item, &overflow);
        if (overflow || d < -dimensions || d >= dimensions) return false;
        Dims bit = Dims(1) << (d < 0 ? d + dimensions : d);
        bool repeated = dims & bit;
        dims |= bit;
        return !repeated;
    };
    if (dim == Py_None) {
        dims = dimensions < 64 ? (Dims(1) << dimensions) - 1 : ~Dims(0);
        return true;
    }
    if (PyLong_Check(dim)) return mark(dim);
    if (!PyTuple_Check(dim) && !PyList_Check(dim)) return false;
    PyObject** items = PySequence_Fast_ITEMS(dim);
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(dim); i++)
        if (!mark(items[i])) return false;
    return dims != 0;
}

// The arguments that all three functions have, where the fast path takes them.
struct Arguments {
    const Tensor* input;
    Dims dims;
    Tensor expanded;  // `where` in the shape of the input
    const Tensor* where = nullptr;

    bool read(PyObject* x, PyObject* dim, PyObject* mask) {
        if (!is_plain_place() || !(input = plain_tensor(x))) return false;
        int64_t n = input->dim();
        if (!is_float(*input) || n == 0 || n > max_dimensions || input->numel() == 0 || !read_dims(dim, n, dims))
            return false;
        if (mask == Py_None) return true;
        const Tensor* given = plain_tensor(mask);
        if (!given || given->scalar_type() != at::kBool || !at::is_expandable_to(given->sizes(), input->sizes()))
            return false;
        expanded = given->expand(input->sizes());
        where = &expanded;
        return true;
    }
};

// A finite number.
bool read_number(PyObject* given, double& number) {
    if (!PyFloat_Check(given) && !PyLong_CheckExact(given)) return false;
    number = PyFloat_AsDouble(given);
    if (number == -1 && PyErr_Occurred()) PyErr_Clear();
    return std::isfinite(number);
}

bool has_count(Py_ssize_t count, Py_ssize_t expected) {
    if (count != expected) PyErr_Format(PyExc_TypeError, "expected %zd arguments, got %zd", expected, count);
    return count == expected;
}

// (input, dim, temperature, where)
template <bool logarithms> PyObject* activation(PyObject*, PyObject* const* args, Py_ssize_t count) {
    HANDLE_TH_ERRORS
    if (!has_count(count, 4)) return nullptr;
    Arguments arguments;
    double temperature;
    if (!read_number(args[2], temperature) || temperature <= 0 || !arguments.read(args[0], args[1], args[3]))
        Py_RETURN_NOTIMPLEMENTED;
    const Tensor& input = *arguments.input;
    Tensor output = elementwise(logarithms ? Function::log_softmax : Function::softmax, input, arguments.where,
                                arguments.dims, temperature);
    if (records_gradient(input))
        Backward<ActivationGradient>::record({logarithms, arguments.dims, temperature}, input, output, output,
                                             arguments.expanded);
    return THPVariable_Wrap(std::move(output));
    END_HANDLE_TH_ERRORS
}

// (input, dim, keepdim, where)
PyObject* logsumexp(PyObject*, PyObject* const* args, Py_ssize_t count) {
    HANDLE_TH_ERRORS
    if (!has_count(count, 4)) return nullptr;
    Arguments arguments;
    if (!PyBool_Check(args[2]) || !arguments.read(args[0], args[1], args[3])) Py_RETURN_NOTIMPLEMENTED;
    const Tensor& input = *arguments.input;
    bool keepdim = args[2] == Py_True;
    Tensor output = reduced(input, arguments.where, arguments.dims, keepdim);
    if (records_gradient(input))
        Backward<LogSumExpGradient>::record({arguments.dims, keepdim, places_of_nothing(output)}, input, output, input,
                                            arguments.expanded);
    return THPVariable_Wrap(std::move(output));
    END_HANDLE_TH_ERRORS
}

bool read_options(PyObject* const* args, LossOptions& options) {
    if (!read_number(args[0], options.label_smoothing) || !read_number(args[1], options.focal_gamma) ||
        !read_number(args[2], options.z_loss))
        return false;
    bool known =
        options.label_smoothing >= 0 && options.label_smoothing < 1 && options.focal_gamma >= 0 && options.z_loss >= 0;
    if (!known || (options.label_smoothing > 0 && options.focal_gamma > 0)) return false;
    int overflow = 0;
    options.ignored = args[3] == Py_None ? 0 : PyLong_Check(args[3]) ? PyLong_AsLongAndOverflow(args[3], &overflow) : 1;
    if (overflow || options.ignored > 0 || (options.ignored == 0 && args[3] != Py_None) || !PyUnicode_Check(args[4]))
        return false;
    options.mean = PyUnicode_CompareWithASCIIString(args[4], "mean") == 0;
    return options.mean || PyUnicode_CompareWithASCIIString(args[4], "sum") == 0;
}

// (input, target, label_smoothing, focal_gamma, z_loss, ignore_index, reduction)
PyObject* cross_entropy(PyObject*, PyObject* const* args, Py_ssize_t count) {
    HANDLE_TH_ERRORS
    if (!has_count(count, 7)) return nullptr;
    LossOptions options;
    if (!is_plain_place() || !read_options(args + 2, options)) Py_RETURN_NOTIMPLEMENTED;
    const Tensor *input = plain_tensor(args[0]), *target = plain_tensor(args[1]);
    if (!input || !target || !is_float(*input) || target->scalar_type() != at::kLong) Py_RETURN_NOTIMPLEMENTED;
    int64_t dimensions = input->dim();
    bool fits = (dimensions == 1 || dimensions == 2) && input->numel() > 0 && target->dim() == dimensions - 1 &&
                (dimensions == 1 || target->size(0) == input->size(0));
    if (!fits) Py_RETURN_NOTIMPLEMENTED;
    Tensor loss = cross_entropy(*input, *target, options);
    if (!loss.defined()) Py_RETURN_NOTIMPLEMENTED;
    return THPVariable_Wrap(std::move(loss));
    END_HANDLE_TH_ERRORS
}

// (softmax, log_softmax, logsumexp, cross_entropy): the derivatives that can themselves be differentiated.
PyObject* use_derivatives(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (!has_count(count, 4)) return nullptr;
    differentiable = {Py_NewRef(args[0]), Py_NewRef(args[1]), Py_NewRef(args[2]), Py_NewRef(args[3])};
    Py_RETURN_NONE;
}

template <class F> PyCFunction as_function(F f) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(f));
}

PyMethodDef methods[] = {
    {"softmax", as_function(activation<false>), METH_FASTCALL, nullptr},
    {"log_softmax", as_function(activation<true>), METH_FASTCALL, nullptr},
    {"logsumexp", as_function(logsumexp), METH_FASTCALL, nullptr},
    {"cross_entropy", as_function(cross_entropy), METH_FASTCALL, nullptr},
    {"use_derivatives", as_function(use_derivatives), METH_FASTCALL, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

int start(PyObject*) {
    lent = static_cast<const Interface*>(PyCapsule_Import(interface_capsule, 0));
    if (!lent) return -1;
    if (lent->task_size == sizeof(Task) && lent->loss_task_size == sizeof(LossTask)) return 0;
    PyErr_SetString(PyExc_ImportError, "softmaxlib._kernels and this module are of two builds; build both again");
    return -1;
}

PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(start)},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, nullptr},
};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, SOFTMAXLIB_TORCH_MODULE, nullptr, 0, methods, slots, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC SOFTMAXLIB_TORCH_START() { return PyModuleDef_Init(&definition); }
