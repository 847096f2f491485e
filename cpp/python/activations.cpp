// softmax, log_softmax, logsumexp, sparsemax, entmax and the derivatives as Python calls them: NumPy arrays are read
// into a Task. A function here returns NotImplemented for everything that it doesn't take, wrong arguments included:
// softmaxlib._checks names the fault.
//
// Written on CPython's and NumPy's own interfaces: the call must cost less than the softmax of ten numbers.

#include "numpy_arrays.h"

#include <algorithm>
#include <cmath>

#include "../caches.h"
#include "../execute.h"
#include "../layout.h"
#include "bindings.h"

namespace softmaxlib {
namespace {

// The arguments of a call; null for those that its function doesn't have.
struct Request {
    PyObject *x, *axis, *temperature, *where, *dtype, *out, *sink;
    bool keepdims;
    PyObject* tangent = nullptr;
};
bool is_given(PyObject* argument) { return argument && argument != Py_None; }

enum class Step { done, not_taken, failed };  // failed: Python's error is set

class Evaluation {
    const Request& request_;
    const FunctionTraits& traits_;
    Task task_;
    PyArrayObject* x_ = nullptr;
    int dimensions_ = 0;
    bool reduced_[NPY_MAXDIMS];
    DType in_type_, out_type_;
    Owned descr_, out_, copy_, where_, sink_, tangent_;
    double sink_of_all_;
    const bool out_is_given_;

  public:
    Evaluation(Function function, const Request& request)
        : request_(request), traits_(traits_of(function)), out_is_given_(is_given(request.out)) {
        task_.function = function;
    }

    PyObject* run() {
        const Step ended = steps();
        if (ended == Step::failed) return nullptr;
        if (ended == Step::not_taken) {
            PyErr_Clear();
            Py_RETURN_NOTIMPLEMENTED;
        }
        return out_is_given_ ? out_.release() : PyArray_Return(as_array(out_.release()));
    }

  private:
    // Written out, so that each is compiled in its place: a call takes some hundred nanoseconds.
    Step steps() {
        Step step = read_input();
        if (step == Step::done) step = choose_types();
        if (step == Step::done) step = place_output();
        if (step == Step::done) step = read_mask();
        if (step == Step::done) step = read_sink();
        if (step == Step::done) step = keep_inputs_apart();
        return step == Step::done ? compute() : step;
    }

    Step read_input() {
        if (!PyArray_CheckExact(request_.x)) return Step::not_taken;  // a subclass may hold a mask
        x_ = as_array(request_.x);
        dimensions_ = PyArray_NDIM(x_);
        if (!real_type(PyArray_DESCR(x_), in_type_)) return Step::not_taken;
        task_.temperature = 1;
        if (request_.temperature) {
            if (!PyFloat_Check(request_.temperature) && !PyLong_CheckExact(request_.temperature))
                return Step::not_taken;
            task_.temperature = PyFloat_AsDouble(request_.temperature);
            if (!(task_.temperature > 0 && std::isfinite(task_.temperature))) return Step::not_taken;
        }
        if (!read_axes(request_.axis, dimensions_, reduced_)) return Step::not_taken;
        return !request_.tangent || same_shape_and_type(request_.tangent, x_) ? Step::done : Step::not_taken;
    }

    // The result's dtype, and the type it is computed in.
    Step choose_types() {
        out_type_ = in_type_ <= DType::float64 ? in_type_ : DType::float64;
        if (is_given(request_.dtype)) {
            PyArray_Descr* wanted = nullptr;
            if (!PyArray_DescrConverter(request_.dtype, &wanted)) return Step::not_taken;
            descr_.reset(reinterpret_cast<PyObject*>(wanted));
            if (!float_type(wanted, out_type_)) return Step::not_taken;
        } else {
            descr_.reset(reinterpret_cast<PyObject*>(float_descr(x_, in_type_)));
        }
        task_.wide = in_type_ >= DType::float64 || out_type_ == DType::float64;
        set_temperature(task_, task_.temperature);
        return descr_.object ? Step::done : Step::failed;
    }

    Step place_output() {
        npy_intp shape[NPY_MAXDIMS];
        int count = 0;
        for (int d = 0; d < dimensions_; d++) {
            if (!traits_.reduces || !reduced_[d]) shape[count++] = PyArray_DIM(x_, d);
            else if (request_.keepdims) shape[count++] = 1;
        }
        if (!out_is_given_) {
            const bool as_the_input = !traits_.reduces && !PyArray_IS_C_CONTIGUOUS(x_);
            out_.reset(new_result(x_, as_the_input, count, shape, reinterpret_cast<PyArray_Descr*>(descr_.object)));
            return out_.object ? Step::done : Step::failed;
        }
        if (!PyArray_CheckExact(request_.out)) return Step::not_taken;
        out_.reset(Py_NewRef(request_.out));
        PyArrayObject* out = as_array(out_);
        DType type;
        const bool fits = float_type(PyArray_DESCR(out), type) && type == out_type_ && PyArray_NDIM(out) == count &&
                          std::equal(shape, shape + count, PyArray_DIMS(out));
        return fits && PyArray_ISWRITEABLE(out) ? Step::done : Step::not_taken;
    }

    Step read_mask() {
        if (!is_given(request_.where)) return Step::done;
        if (!PyArray_CheckExact(request_.where) || PyArray_TYPE(as_array(request_.where)) != NPY_BOOL)
            return Step::not_taken;
        PyArrayObject* mask = as_array(request_.where);
        if (PyArray_NDIM(mask) == dimensions_ &&
            PyArray_CompareLists(PyArray_DIMS(mask), PyArray_DIMS(x_), dimensions_)) {
            where_.reset(Py_NewRef(request_.where));
        } else {
            Owned numpy(PyImport_ImportModule("numpy")), shape(PyArray_IntTupleFromIntp(dimensions_, PyArray_DIMS(x_)));
            if (!numpy.object || !shape.object) return Step::failed;
            where_.reset(PyObject_CallMethod(numpy.object, "broadcast_to", "OO", request_.where, shape.object));
            if (!where_.object) return Step::not_taken;
        }
        if (overlap(as_array(where_), as_array(out_))) where_.reset(PyArray_NewCopy(as_array(where_), NPY_CORDER));
        return where_.object ? Step::done : Step::failed;
    }

    // One logit for each row, of the shape of x with 1 on the axes of the classes; or one number for all.
    Step read_sink() {
        if (!is_given(request_.sink)) return Step::done;
        npy_intp shape[NPY_MAXDIMS], nowhere[NPY_MAXDIMS];
        for (int d = 0; d < dimensions_; d++) {
            shape[d] = reduced_[d] ? 1 : PyArray_DIM(x_, d);
            nowhere[d] = 0;
        }
        if (PyFloat_CheckExact(request_.sink) || PyLong_CheckExact(request_.sink)) {
            sink_of_all_ = PyFloat_AsDouble(request_.sink);
            if (PyErr_Occurred()) return Step::not_taken;
            sink_.reset(
                PyArray_New(&PyArray_Type, dimensions_, shape, NPY_DOUBLE, nowhere, &sink_of_all_, 0, 0, nullptr));
            return sink_.object ? Step::done : Step::failed;
        }
        if (!PyArray_CheckExact(request_.sink)) return Step::not_taken;
        PyArrayObject* sink = as_array(request_.sink);
        if (PyArray_TYPE(sink) != NPY_DOUBLE || PyArray_ISBYTESWAPPED(sink) || PyArray_NDIM(sink) != dimensions_ ||
            !PyArray_CompareLists(PyArray_DIMS(sink), shape, dimensions_))
            return Step::not_taken;
        sink_.reset(overlap(sink, as_array(out_)) ? PyArray_NewCopy(sink, NPY_CORDER) : Py_NewRef(request_.sink));
        return sink_.object ? Step::done : Step::failed;
    }

    // What a given output overlaps is copied, unless each number is read before its own place is written.
    Step keep_inputs_apart() {
        PyArrayObject* out = as_array(out_);
        if (out_is_given_ && overlap(x_, out) && (traits_.reduces || !same_place(x_, out))) {
            copy_.reset(PyArray_NewCopy(x_, NPY_KEEPORDER));
            if (!copy_.object) return Step::failed;
            x_ = as_array(copy_);
        }
        if (!request_.tangent) return Step::done;
        tangent_.reset(Py_NewRef(request_.tangent));
        PyArrayObject* tangent = as_array(tangent_);
        if (out_is_given_ && overlap(tangent, out) && !same_place(tangent, out))
            tangent_.reset(PyArray_NewCopy(tangent, NPY_KEEPORDER));
        return tangent_.object ? Step::done : Step::failed;
    }

    void fill_task() {
        set_operand(task_.input, x_, in_type_);
        set_operand(task_.output, as_array(out_), out_type_);
        task_.where.data = task_.sink.data = task_.tangent.data = nullptr;
        if (tangent_.object) set_operand(task_.tangent, as_array(tangent_), in_type_);
        if (where_.object) set_operand(task_.where, as_array(where_), DType::uint8);
        if (sink_.object) set_operand(task_.sink, as_array(sink_), DType::float64);
        auto strides = [](const Owned& array) { return array.object ? PyArray_STRIDES(as_array(array)) : nullptr; };
        const Layout layout = {dimensions_,       PyArray_DIMS(x_), PyArray_STRIDES(x_),
                               strides(out_),     strides(where_),  strides(sink_),
                               strides(tangent_), traits_.reduces,  request_.keepdims};
        layout.fill(task_, reduced_);
        task_.stream = !traits_.reduces && static_cast<size_t>(PyArray_NBYTES(as_array(out_))) >= least_streamed();
    }
    Step compute() {
        fill_task();
        if (task_.rows == 0 || (task_.classes == 0 && !traits_.reduces)) return Step::done;
        if (task_.classes == 0) return fill_empty() ? Step::done : Step::failed;
        const Outcome outcome = execute(task_);
        if (outcome == Outcome::no_memory) PyErr_NoMemory();
        return outcome == Outcome::done ? Step::done : Step::failed;
    }
    // logsumexp of no classes
    bool fill_empty() {
        Owned value(PyFloat_FromDouble(-INFINITY));
        return value.object && PyArray_FillWithScalar(as_array(out_), value.object) == 0;
    }
};

PyObject* evaluate(Function function, const Request& request) { return Evaluation(function, request).run(); }

template <Function function> PyObject* call_activation(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != 6 && count != 7) {
        PyErr_SetString(PyExc_TypeError, "expected x, axis, temperature, where, dtype, out and at most a sink");
        return nullptr;
    }
    PyObject* sink = count == 7 ? args[6] : nullptr;
    return evaluate(function, Request{args[0], args[1], args[2], args[3], args[4], args[5], sink, false});
}
PyObject* call_logsumexp(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != 6) {
        PyErr_SetString(PyExc_TypeError, "expected x, axis, where, keepdims, dtype, out");
        return nullptr;
    }
    int keepdims = PyObject_IsTrue(args[3]);
    if (keepdims < 0) return nullptr;
    return evaluate(Function::logsumexp,
                    Request{args[0], args[1], nullptr, args[2], args[4], args[5], nullptr, keepdims != 0});
}

template <Function function> PyObject* call_simplex(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "expected x, axis, where");
        return nullptr;
    }
    return evaluate(function, Request{args[0], args[1], nullptr, args[2], nullptr, nullptr, nullptr, false});
}

template <Function function> PyObject* call_derivative(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != 4 && count != 5) {
        PyErr_SetString(PyExc_TypeError, "expected x, tangent, axis, where and at most an out");
        return nullptr;
    }
    PyObject* out = count == 5 ? args[4] : nullptr;
    return evaluate(function, Request{args[0], args[2], nullptr, args[3], nullptr, out, nullptr, false, args[1]});
}

template <class F> PyMethodDef method(Function function, F call) {
    return {traits_of(function).name, as_function(call), METH_FASTCALL, nullptr};
}
template <Function function> PyMethodDef activation() { return method(function, call_activation<function>); }
template <Function function> PyMethodDef simplex() { return method(function, call_simplex<function>); }
template <Function function> PyMethodDef derivative() { return method(function, call_derivative<function>); }

}  // namespace

PyMethodDef activation_methods[] = {
    activation<Function::softmax>(),
    activation<Function::log_softmax>(),
    method(Function::logsumexp, call_logsumexp),
    simplex<Function::sparsemax>(),
    simplex<Function::entmax15>(),
    derivative<Function::softmax_jvp>(),
    derivative<Function::log_softmax_jvp>(),
    derivative<Function::log_softmax_vjp>(),
    derivative<Function::log_softmax_vjp_of_logarithms>(),
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace softmaxlib
