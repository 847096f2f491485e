// One call of a kernel on tensors.
#pragma once

#include <ATen/ExpandUtils.h>

#include "../caches.h"
#include "../lock.h"
#include "tensors.h"

namespace softmaxlib {

using Dims = uint64_t;  // a bit for each dimension that holds classes

// Throws what Python is to raise.
inline void check(Outcome outcome) {
    if (outcome == Outcome::done) return;
    Locked lock;
    if (outcome == Outcome::no_memory) PyErr_NoMemory();
    python_error error;
    error.persist();
    throw error;
}

struct Operands {
    const Tensor &input, &output;
    const Tensor* where = nullptr;  // of the input's shape
    const Tensor* tangent = nullptr;
};

inline void run(Function function, const Operands& operands, Dims dims, double temperature, bool keepdim) {
    const Tensor& input = operands.input;
    int dimensions = static_cast<int>(input.dim());
    DType type = float_type(input);
    Task task;
    task.function = function;
    task.wide = type == DType::float64;
    set_temperature(task, temperature);
    set_operand(task.input, input, type);
    set_operand(task.output, operands.output, type);
    task.where.data = task.sink.data = task.tangent.data = nullptr;
    if (operands.where) set_operand(task.where, *operands.where, DType::uint8);
    if (operands.tangent) set_operand(task.tangent, *operands.tangent, type);
    ptrdiff_t length[max_dimensions];
    bool reduced[max_dimensions];
    for (int d = 0; d < dimensions; d++) {
        length[d] = input.size(d);
        reduced[d] = dims >> d & 1;
    }
    const Bytes in(input), out(operands.output);
    Bytes where, tangent;
    if (operands.where) where = Bytes(*operands.where);
    if (operands.tangent) tangent = Bytes(*operands.tangent);
    bool reduces = function == Function::logsumexp;
    Layout{dimensions,
           length,
           in.stride,
           out.stride,
           operands.where ? where.stride : nullptr,
           nullptr,
           operands.tangent ? tangent.stride : nullptr,
           reduces,
           keepdim}
        .fill(task, reduced);
    task.stream = !reduces && operands.output.nbytes() >= least_streamed();
    check(lent->execute(task, Crew::openmp));
}

inline Tensor elementwise(Function function, const Tensor& input, const Tensor* where, Dims dims, double temperature) {
    Tensor output = allocate_like(input);
    run(function, {input, output, where}, dims, temperature, false);
    return output;
}
inline Tensor derivative(Function function, const Tensor& values, const Tensor& tangent, Dims dims) {
    Tensor output = allocate_like(values);
    run(function, {values, output, nullptr, &tangent}, dims, 1, false);
    return output;
}
inline Tensor reduced(const Tensor& input, const Tensor* where, Dims dims, bool keepdim) {
    c10::SmallVector<int64_t, 8> sizes;
    for (int64_t d = 0; d < input.dim(); d++) {
        if (!(dims >> d & 1)) sizes.push_back(input.size(d));
        else if (keepdim) sizes.push_back(1);
    }
    Tensor output = at::detail::empty_cpu(sizes, input.scalar_type());
    run(Function::logsumexp, {input, output, where}, dims, 1, keepdim);
    return output;
}

}  // namespace softmaxlib
