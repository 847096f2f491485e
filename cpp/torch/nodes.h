// What autograd calls on the way back: the derivative kernels on plain tensors, the operators in Python for all else
// (a gradient that is itself to be differentiated, batched, or of another kind).
#pragma once

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/csrc/dynamo/compiled_autograd.h>

#include <algorithm>
#include <cmath>
#include <mutex>

#include "run.h"

namespace softmaxlib {

namespace autograd = torch::autograd;

// Python functions of (gradient, saved tensors..., options...), set when the module is put to use.
struct Differentiable {
    PyObject *softmax, *log_softmax, *logsumexp, *cross_entropy;
};
inline Differentiable differentiable = {};

inline PyObject* wrap(const Tensor& tensor) {
    if (!tensor.defined()) Py_RETURN_NONE;
    return THPVariable_Wrap(tensor);
}
inline PyObject* tuple_of(Dims dims, int64_t dimensions) {
    pybind11::list list;
    for (int64_t d = 0; d < dimensions; d++)
        if (dims >> d & 1) list.append(d);
    return pybind11::tuple(list).release().ptr();
}

// Takes the references of the arguments, any of which may be null after a failure.
template <size_t count> Tensor call_python(PyObject* function, PyObject* const (&arguments)[count]) {
    bool complete = true;
    for (PyObject* one : arguments) complete = complete && one;
    PyObject* result = complete ? PyObject_Vectorcall(function, arguments, count, nullptr) : nullptr;
    for (PyObject* one : arguments) Py_XDECREF(one);
    if (!result) {
        python_error error;
        error.persist();
        throw error;
    }
    Tensor tensor = THPVariable_Unpack(result);
    Py_DECREF(result);
    return tensor;
}

// Whether the kernels take a gradient that has arrived.
inline bool takes(const Tensor& upstream, const Tensor& saved) {
    return !at::GradMode::is_enabled() && is_plain_place() && is_plain(upstream) && is_plain(saved) &&
           upstream.scalar_type() == saved.scalar_type();
}

// The way back through a function of one input. A Formula has a name, its options, whether the first of the tensors
// that it saves is the function's own output, and computes the gradient from the one that arrived and from what was
// saved; for any input it does so from these alone.
template <class Formula> class Backward final : public autograd::Node {
    std::mutex lock_;
    autograd::SavedVariable first_, second_;
    Formula formula_;

  public:
    Backward(Formula formula, autograd::Edge edge) : formula_(formula) { add_next_edge(std::move(edge)); }

    static void record(Formula formula, const Tensor& input, const Tensor& output, const Tensor& first,
                       const Tensor& second) {
        auto node = c10::make_intrusive<Backward>(formula, autograd::impl::gradient_edge(input));
        autograd::set_history(output, node);
        node->first_ = autograd::SavedVariable(first, Formula::saves_output);
        if (second.defined()) node->second_ = autograd::SavedVariable(second, false);
    }
    std::string name() const override { return Formula::name; }

    autograd::variable_list apply(autograd::variable_list&& upstream) override {
        std::lock_guard<std::mutex> guard(lock_);
        if (!upstream[0].defined()) return {Tensor()};
        return {formula_(upstream[0], first_.unpack(getptr()), second_.unpack())};
    }
    void release_variables() override {
        std::lock_guard<std::mutex> guard(lock_);
        first_.reset_data();
        second_.reset_data();
    }

    // For the compiler of backward graphs: what tells this node from another, and the formula on its stand-ins.
    void compiled_args(torch::dynamo::autograd::CompiledNodeArgs& args) const override {
        args.collect(std::string(Formula::name));
        args.collect(first_, Formula::saves_output);
        args.collect(second_, false);
        formula_.collect(args);
    }
    autograd::variable_list apply_with_saved(const autograd::variable_list& upstream,
                                             torch::dynamo::autograd::SwapSavedVariables& saved) override {
        namespace compiler = torch::dynamo::autograd;
        saved.before(first_);
        saved.before(second_);
        Tensor first = first_.unpack(getptr()), second = second_.unpack();
        std::vector<c10::IValue> arguments = {first, second.defined() ? c10::IValue(second) : c10::IValue()};
        std::vector<at::TypePtr> types = {at::TensorType::get(),
                                          second.defined() ? at::TypePtr(at::TensorType::get()) : at::NoneType::get()};
        auto apply = [formula = formula_.for_any_input()](const autograd::variable_list& arrived,
                                                          const std::vector<c10::IValue>& given) {
            return autograd::variable_list{
                formula(arrived[0], given[0].toTensor(), given[1].isNone() ? Tensor() : given[1].toTensor())};
        };
        auto metadata = compiler::IValuePacker<std::vector<std::optional<autograd::InputMetadata>>>::pack(
            compiler::get_input_metadata(next_edges()));
        const auto& interface = compiler::getPyCompilerInterface();
        std::string bound = interface->bind_function(saved.get_py_compiler(), Formula::name, apply, types, true, true);
        auto result =
            interface->call_function(saved.get_py_compiler(), "apply_functional", bound, upstream, arguments, metadata);
        saved.after(first_);
        saved.after(second_);
        return result;
    }
};

struct ActivationGradient {
    bool logarithms;
    Dims dims;
    double temperature;
    static constexpr bool saves_output = true;
    static constexpr const char* name = "SoftmaxlibActivationBackward";

    template <class Arguments> void collect(Arguments& args) const {
        args.collect(logarithms);
        args.collect(dims);
        args.collect(temperature);
    }
    ActivationGradient for_any_input() const { return *this; }
    Tensor operator()(const Tensor& upstream, const Tensor& output, const Tensor& mask) const {
        if (!takes(upstream, output)) {
            Locked held;
            return call_python(logarithms ? differentiable.log_softmax : differentiable.softmax,
                               {wrap(upstream), wrap(output), wrap(mask), tuple_of(dims, output.dim()),
                                PyFloat_FromDouble(temperature)});
        }
        Function function = logarithms ? Function::log_softmax_vjp_of_logarithms : Function::softmax_jvp;
        Tensor result = derivative(function, output, mask.defined() ? at::where(mask, upstream, 0.0) : upstream, dims);
        if (mask.defined()) result = at::where(mask, result, 0.0);  // also in rows that are NaN
        return temperature == 1 ? result : result.div_(temperature);
    }
};

// Where a result is -inf; undefined where it is so nowhere.
inline Tensor places_of_nothing(const Tensor& result) {
    auto found = [&](auto zero) {
        const auto* at = static_cast<const decltype(zero)*>(result.const_data_ptr());
        return std::any_of(at, at + result.numel(), [](auto value) { return static_cast<double>(value) == -INFINITY; });
    };
    bool any = false;
    switch (result.scalar_type()) {
        case at::kDouble: any = found(double()); break;
        case at::kFloat: any = found(float()); break;
        case at::kHalf: any = found(c10::Half()); break;
        default: any = found(c10::BFloat16());
    }
    return any ? at::eq(result.detach(), -INFINITY) : Tensor();
}

struct LogSumExpGradient {
    Dims dims;
    bool keepdim;
    Tensor nothing;        // where the result was -inf: no logit moves it
    bool recorded = true;  // or a stand-in, which doesn't know
    static constexpr bool saves_output = false;
    static constexpr const char* name = "SoftmaxlibLogSumExpBackward";

    template <class Arguments> void collect(Arguments& args) const {
        args.collect(dims);
        args.collect(keepdim);
    }
    LogSumExpGradient for_any_input() const { return {dims, keepdim, Tensor(), false}; }
    Tensor operator()(const Tensor& upstream, const Tensor& input, const Tensor& mask) const {
        if (!recorded || !takes(upstream, input)) {
            Locked held;
            return call_python(differentiable.logsumexp, {wrap(upstream), wrap(input), wrap(mask),
                                                          tuple_of(dims, input.dim()), PyBool_FromLong(keepdim)});
        }
        Tensor result = elementwise(Function::softmax, input, mask.defined() ? &mask : nullptr, dims, 1);
        Tensor factor = upstream, still = nothing;
        for (int64_t d = 0; d < input.dim() && !keepdim; d++) {
            if (!(dims >> d & 1)) continue;
            factor = factor.unsqueeze(d);
            if (still.defined()) still = still.unsqueeze(d);
        }
        result.mul_(factor);
        return still.defined() ? result.masked_fill_(still, 0) : result;
    }
};

}  // namespace softmaxlib
