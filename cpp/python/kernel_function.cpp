// Functions that offer a call to a kernel first. To enter a Python function of seven parameters takes CPython longer
// than the softmax of ten numbers, so a call that the kernel takes doesn't enter it.

#include "owned.h"

#include <structmember.h>

#include <algorithm>
#include <cstddef>

#include "bindings.h"

namespace softmaxlib {
namespace {

constexpr Py_ssize_t most_parameters = 8;

// A kernel returns NotImplemented for what it doesn't take; the function is called then. Both have the same parameters
// in the same order: `names` has those of the kernel, and `defaults` their values where they are not given.
struct KernelFunction {
    PyObject base;
    vectorcallfunc call;
    PyObject *kernel, *function, *names, *defaults;
    Py_ssize_t required, positional;  // so many must, and so many may, be given without a name
    PyObject *attributes, *weak_references;
};
KernelFunction& state_of(PyObject* object) { return *reinterpret_cast<KernelFunction*>(object); }

// Finds each argument's place. False for a call that the function must see: it knows how to refuse wrong ones.
bool place_arguments(const KernelFunction& own, PyObject* const* given, Py_ssize_t count, PyObject* keywords,
                     PyObject** places) {
    if (count < own.required || count > own.positional) return false;
    const Py_ssize_t parameters = PyTuple_GET_SIZE(own.names);
    std::copy(given, given + count, places);
    for (Py_ssize_t i = count; i < parameters; i++) places[i] = PyTuple_GET_ITEM(own.defaults, i);
    const Py_ssize_t named = keywords ? PyTuple_GET_SIZE(keywords) : 0;
    for (Py_ssize_t k = 0; k < named; k++) {
        PyObject* name = PyTuple_GET_ITEM(keywords, k);
        Py_ssize_t i = count;  // names in a call are interned: the same text is the same object
        while (i < parameters && PyTuple_GET_ITEM(own.names, i) != name) i++;
        if (i == parameters) return false;
        places[i] = given[count + k];
    }
    return true;
}

PyObject* call(PyObject* self, PyObject* const* given, size_t flags, PyObject* keywords) {
    const KernelFunction& own = state_of(self);
    PyObject* places[most_parameters];
    if (place_arguments(own, given, PyVectorcall_NARGS(flags), keywords, places)) {
        PyObject* result =
            PyObject_Vectorcall(own.kernel, places, static_cast<size_t>(PyTuple_GET_SIZE(own.names)), nullptr);
        if (result != Py_NotImplemented) return result;
        Py_DECREF(result);
    }
    return PyObject_Vectorcall(own.function, given, flags, keywords);
}

PyObject* create(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
    PyObject *kernel, *function, *names, *defaults;
    Py_ssize_t required, positional;
    static const char* const parameters[] = {"kernel",   "function",   "names", "defaults",
                                             "required", "positional", nullptr};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOO!O!nn", const_cast<char**>(parameters), &kernel,
                                     &function, &PyTuple_Type, &names, &PyTuple_Type, &defaults, &required,
                                     &positional))
        return nullptr;
    const Py_ssize_t count = PyTuple_GET_SIZE(names);
    if (count > most_parameters || PyTuple_GET_SIZE(defaults) != count || required < 0 || required > positional ||
        positional > count) {
        PyErr_Format(PyExc_ValueError, "expected a default for each of at most %zd names, and so many without a name",
                     most_parameters);
        return nullptr;
    }
    PyObject* self = type->tp_alloc(type, 0);
    if (!self) return nullptr;
    KernelFunction& own = state_of(self);
    own.call = call;
    own.kernel = Py_NewRef(kernel);
    own.function = Py_NewRef(function);
    own.names = Py_NewRef(names);
    own.defaults = Py_NewRef(defaults);
    own.required = required;
    own.positional = positional;
    return self;
}

int traverse(PyObject* self, visitproc visit, void* arg) {
    KernelFunction& own = state_of(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(own.kernel);
    Py_VISIT(own.function);
    Py_VISIT(own.names);
    Py_VISIT(own.defaults);
    Py_VISIT(own.attributes);
    return 0;
}
int clear(PyObject* self) {
    Py_CLEAR(state_of(self).attributes);
    return 0;
}
void destroy(PyObject* self) {
    KernelFunction& own = state_of(self);
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (own.weak_references) PyObject_ClearWeakRefs(self);
    clear(self);
    Py_XDECREF(own.kernel);
    Py_XDECREF(own.function);
    Py_XDECREF(own.names);
    Py_XDECREF(own.defaults);
    type->tp_free(self);
    Py_DECREF(type);
}

// As a function does: an attribute of a class that is one becomes a method of its instances.
PyObject* bind(PyObject* self, PyObject* instance, PyObject*) {
    return instance && instance != Py_None ? PyMethod_New(self, instance) : Py_NewRef(self);
}
PyObject* describe(PyObject* self) {
    Owned name(PyObject_GetAttrString(self, "__qualname__"));
    return name.object ? PyUnicode_FromFormat("<function %U at %p>", name.object, self) : nullptr;
}
PyObject* name_to_pickle(PyObject* self, PyObject*) { return PyObject_GetAttrString(self, "__qualname__"); }

PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(KernelFunction, call), READONLY, nullptr},
    {"__dictoffset__", T_PYSSIZET, offsetof(KernelFunction, attributes), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(KernelFunction, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};
PyGetSetDef properties[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyMethodDef methods[] = {
    {"__reduce__", name_to_pickle, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};
template <class F> void* slot(F f) { return reinterpret_cast<void*>(f); }

}  // namespace

PyObject* kernel_function_type(PyObject* module) {
    PyType_Slot slots[] = {
        {Py_tp_new, slot(create)},
        {Py_tp_call, slot(PyVectorcall_Call)},
        {Py_tp_traverse, slot(traverse)},
        {Py_tp_clear, slot(clear)},
        {Py_tp_dealloc, slot(destroy)},
        {Py_tp_descr_get, slot(bind)},
        {Py_tp_repr, slot(describe)},
        {Py_tp_members, members},
        {Py_tp_getset, properties},
        {Py_tp_methods, methods},
        {0, nullptr},
    };
    PyType_Spec spec = {"softmaxlib._kernels.KernelFunction", sizeof(KernelFunction), 0,
                        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL, slots};
    Owned type(PyType_FromModuleAndSpec(module, &spec, nullptr));
    if (!type.object) return nullptr;
    // What reads the Python of a call, as torch.compile does, finds it here. The type's own way of calling stays.
    Owned globals(PyDict_New());
    Owned python(globals.object ? PyRun_String("lambda self, /, *args, **kwargs: self.__wrapped__(*args, **kwargs)",
                                               Py_eval_input, globals.object, globals.object)
                                : nullptr);
    PyTypeObject* made = reinterpret_cast<PyTypeObject*>(type.object);
    if (!python.object || PyDict_SetItemString(made->tp_dict, "__call__", python.object) < 0) return nullptr;
    PyType_Modified(made);
    return type.release();
}

}  // namespace softmaxlib
