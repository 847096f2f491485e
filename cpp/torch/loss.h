// Cross-entropy of rows with labels.
#pragma once

#include "../caches.h"
#include "../exact_sum.h"
#include "nodes.h"

namespace softmaxlib {

constexpr unsigned few_rows = 128;  // whose losses need no memory of their own

struct LossOptions {
    double label_smoothing, focal_gamma, z_loss;
    int64_t ignored;  // a negative label of rows that are not counted, or 0: there are none
    bool mean;

    // How many rows count; -1 where a label is out of range.
    int64_t count(const Tensor& target, int64_t classes) const {
        const int64_t* label = static_cast<const int64_t*>(target.const_data_ptr());
        int64_t rows = target.numel(), ignored_rows = 0, outside = 0;
        for (int64_t r = 0; r < rows; r++) {
            bool is_ignored = ignored < 0 && label[r] == ignored;
            ignored_rows += is_ignored;
            outside += !is_ignored && static_cast<uint64_t>(label[r]) >= static_cast<uint64_t>(classes);
        }
        return outside ? -1 : rows - ignored_rows;
    }
};

// The losses of all rows go to `losses`, and, where it is given, their gradient times `scale` to `gradient`. Where
// `sums` is defined, they are kept there without a gradient, and taken from there for one.
inline void run_loss(const LossOptions& options, const Tensor& input, const Tensor& label, double scale, double* losses,
                     const Tensor* gradient, const Tensor& sums) {
    LossTask task;
    task.sums = sums.defined() ? sums.mutable_data_ptr<double>() : nullptr;
    task.smoothing = options.label_smoothing;
    task.focal = options.focal_gamma;
    task.z_loss = options.z_loss;
    task.scale = scale;
    task.label = static_cast<const int64_t*>(label.const_data_ptr());
    task.loss = losses;
    task.weight = nullptr;
    Task& rows = task.rows;
    for (Operand* absent : {&task.target, &rows.output, &rows.where, &rows.sink, &rows.tangent}) {
        absent->data = nullptr;
        absent->dtype = DType::uint8;
        absent->swapped = false;
        absent->outer[0] = absent->inner[0] = 0;
    }
    auto set_rows = [](Operand& operand, const Tensor& tensor) {
        set_operand(operand, tensor, float_type(tensor));
        ptrdiff_t size = static_cast<ptrdiff_t>(tensor.element_size());
        operand.inner[0] = tensor.stride(-1) * size;
        operand.outer[0] = tensor.dim() == 2 ? tensor.stride(0) * size : 0;
    };
    set_rows(rows.input, input);
    if (gradient) set_rows(rows.output, *gradient);
    rows.function = Function::log_softmax;
    rows.wide = rows.input.dtype == DType::float64 || task.smoothing != 0;
    rows.temperature = 1;
    rows.classes = input.size(-1);
    rows.rows = label.numel();
    rows.outer.count = rows.inner.count = 1;
    rows.outer.length[0] = rows.rows;
    rows.inner.length[0] = rows.classes;
    rows.stream = gradient && gradient->nbytes() >= least_streamed();
    check(lent->execute_losses(task, Crew::openmp));
}

// Rounded to odd: a second rounding, to half the digits, is then as if it were the only one.
inline float round_to_odd(double value) {
    float near = static_cast<float>(value);
    if (static_cast<double>(near) == value || near != near) return near;
    uint32_t bits;
    memcpy(&bits, &near, sizeof bits);
    if (fabs(static_cast<double>(near)) > fabs(value)) bits--;
    bits |= 1;
    memcpy(&near, &bits, sizeof bits);
    return near;
}

inline Tensor scalar(double value, at::ScalarType type) {
    Tensor result = at::detail::empty_cpu({}, type);
    void* to = result.mutable_data_ptr();
    if (type == at::kDouble) *static_cast<double*>(to) = value;
    else if (type == at::kFloat) *static_cast<float*>(to) = static_cast<float>(value);
    else if (type == at::kHalf) *static_cast<c10::Half*>(to) = c10::Half(round_to_odd(value));
    else *static_cast<c10::BFloat16*>(to) = c10::BFloat16(round_to_odd(value));
    return result;
}
inline double value_of(const Tensor& scalar) {
    const void* from = scalar.const_data_ptr();
    switch (scalar.scalar_type()) {
        case at::kDouble: return *static_cast<const double*>(from);
        case at::kFloat: return *static_cast<const float*>(from);
        case at::kHalf: return static_cast<float>(*static_cast<const c10::Half*>(from));
        default: return static_cast<float>(*static_cast<const c10::BFloat16*>(from));
    }
}

struct CrossEntropyGradient {
    LossOptions options;
    Tensor sums;  // of the rows, from the way forward
    static constexpr bool saves_output = false;
    static constexpr const char* name = "SoftmaxlibCrossEntropyBackward";

    template <class Arguments> void collect(Arguments& args) const {
        for (double one : {options.label_smoothing, options.focal_gamma, options.z_loss}) args.collect(one);
        args.collect(options.ignored);
        args.collect(options.mean);
    }
    CrossEntropyGradient for_any_input() const { return {options, Tensor()}; }
    Tensor operator()(const Tensor& upstream, const Tensor& input, const Tensor& target) const {
        if (!takes(upstream, input) || !is_plain(target)) return in_python(upstream, input, target);
        Tensor label = target.contiguous();
        // Counted again: memory that is shared with others can change unnoticed.
        int64_t counted = options.count(label, input.size(-1));
        if (counted < 0) return in_python(upstream, input, target);
        Tensor gradient = allocate_like(input);
        c10::SmallVector<double, few_rows> losses(static_cast<size_t>(label.numel()));
        double denominator = options.mean ? static_cast<double>(counted) : 1;
        run_loss(options, input, label, value_of(upstream) / denominator, losses.data(), &gradient, sums);
        return gradient;
    }
    Tensor in_python(const Tensor& upstream, const Tensor& input, const Tensor& target) const {
        Locked held;
        PyObject* ignore_index = options.ignored < 0 ? PyLong_FromLongLong(options.ignored) : Py_NewRef(Py_None);
        return call_python(differentiable.cross_entropy,
                           {wrap(upstream), wrap(input), wrap(target), Py_NewRef(Py_None), Py_NewRef(Py_None),
                            PyLong_FromLong(input.dim() > 1), PyFloat_FromDouble(options.label_smoothing), ignore_index,
                            PyFloat_FromDouble(options.focal_gamma), PyFloat_FromDouble(options.z_loss),
                            PyUnicode_FromString(options.mean ? "mean" : "sum")});
    }
};

// The loss and its history; undefined if the operator in Python has to raise the error.
inline Tensor cross_entropy(const Tensor& input, const Tensor& target, const LossOptions& options) {
    Tensor label = target.contiguous();
    int64_t counted = options.count(label, input.size(-1));
    if (counted < 0) return Tensor();
    c10::SmallVector<double, few_rows> losses(static_cast<size_t>(label.numel()));
    const bool records = records_gradient(input);
    Tensor sums;
    if (records && input.size(-1) > short_loss) sums = at::detail::empty_cpu({label.numel(), sums_kept}, at::kDouble);
    run_loss(options, input, label, 1, losses.data(), nullptr, sums);
    double total = exact_sum(losses.data(), label.numel());
    Tensor output = scalar(options.mean ? total / static_cast<double>(counted) : total, input.scalar_type());
    if (records) Backward<CrossEntropyGradient>::record({options, sums}, input, output, input, target);
    return output;
}

}  // namespace softmaxlib
