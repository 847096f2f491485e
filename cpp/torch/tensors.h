// PyTorch's tensors as the operands of the kernels.
#pragma once

#include <ATen/Functions.h>
#include <ATen/PythonTorchFunctionTLS.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/autograd/python_variable.h>

#include "../interface.h"
#include "../layout.h"

namespace softmaxlib {

using at::Tensor;

inline const Interface* lent = nullptr;  // set when the module starts

// Whether nothing traces, transforms, records or casts what this thread calls.
inline bool is_plain_place() {
    c10::impl::LocalDispatchKeySet keys = c10::impl::tls_local_dispatch_key_set();
    uint64_t included = keys.included_.raw_repr() & ~c10::default_included_set.raw_repr();
    uint64_t excluded = keys.excluded_.raw_repr() & ~c10::autograd_dispatch_keyset.raw_repr();
    return included == 0 && excluded == c10::default_excluded_set.raw_repr() &&
           !at::impl::torch_function_mode_enabled();
}

// Whether this is numbers in memory and nothing more: no subclass, other device, layout, or lazy negation.
inline bool is_plain(const Tensor& tensor) {
    constexpr c10::DispatchKeySet ordinary({c10::DispatchKey::CPU, c10::DispatchKey::AutogradCPU,
                                            c10::DispatchKey::AutocastCPU, c10::DispatchKey::ADInplaceOrView});
    return (tensor.key_set().raw_repr() & ~ordinary.raw_repr()) == 0 && tensor.defined() &&
           !tensor._fw_grad(0).defined();
}

// The tensor behind an object of Python, or null where the fast path does not take it.
inline const Tensor* plain_tensor(PyObject* object) {
    if (!THPVariable_CheckExact(object)) return nullptr;
    const Tensor& tensor = THPVariable_Unpack(object);
    return is_plain(tensor) ? &tensor : nullptr;
}

inline bool records_gradient(const Tensor& tensor) {
    return tensor.requires_grad() && at::GradMode::is_enabled() &&
           !c10::impl::tls_local_dispatch_key_set().excluded_.has(c10::DispatchKey::AutogradCPU);
}

inline bool is_float(const Tensor& tensor) {
    at::ScalarType type = tensor.scalar_type();
    return type == at::kFloat || type == at::kDouble || type == at::kHalf || type == at::kBFloat16;
}
inline DType float_type(const Tensor& tensor) {
    switch (tensor.scalar_type()) {
        case at::kHalf: return DType::float16;
        case at::kBFloat16: return DType::bfloat16;
        case at::kDouble: return DType::float64;
        default: return DType::float32;
    }
}

// Of dense strides. A large result lies in memory that is used again, as large NumPy results do.
inline Tensor allocate(c10::IntArrayRef sizes, c10::IntArrayRef strides, at::ScalarType type) {
    size_t bytes = static_cast<size_t>(c10::multiply_integers(sizes)) * c10::elementSize(type);
    void* buffer = bytes >= least_buffer && lent->most_kept_bytes ? lent->take_buffer(bytes) : nullptr;
    if (!buffer) return at::detail::empty_strided_cpu(sizes, strides, type);
    c10::DataPtr pointer(buffer, buffer, lent->give_back_buffer, c10::Device(c10::DeviceType::CPU));
    auto storage = c10::make_intrusive<c10::StorageImpl>(c10::StorageImpl::use_byte_size_t(), bytes, std::move(pointer),
                                                         c10::GetCPUAllocator(), true);
    Tensor tensor = at::detail::make_tensor<c10::TensorImpl>(c10::Storage(std::move(storage)),
                                                             c10::DispatchKeySet(c10::DispatchKey::CPU),
                                                             caffe2::TypeMeta::fromScalarType(type));
    tensor.unsafeGetTensorImpl()->set_sizes_and_strides(sizes, strides);
    return tensor;
}
// Of the strides of the other tensor where these are dense, in the order of its dimensions else.
inline Tensor allocate_like(const Tensor& other) {
    if (other.is_contiguous() && other.nbytes() < least_buffer)
        return at::detail::empty_cpu(other.sizes(), other.scalar_type());
    if (other.is_non_overlapping_and_dense()) return allocate(other.sizes(), other.strides(), other.scalar_type());
    c10::SmallVector<int64_t, 8> strides(other.dim());
    for (int64_t d = other.dim() - 1, next = 1; d >= 0; next *= other.size(d--)) strides[d] = next;
    return allocate(other.sizes(), strides, other.scalar_type());
}

struct Bytes {
    ptrdiff_t stride[max_dimensions];
    Bytes() = default;
    explicit Bytes(const Tensor& tensor) {
        ptrdiff_t size = static_cast<ptrdiff_t>(tensor.element_size());
        for (int64_t d = 0; d < tensor.dim(); d++) stride[d] = tensor.stride(d) * size;
    }
};
inline void set_operand(Operand& operand, const Tensor& tensor, DType type) {
    operand.data = static_cast<char*>(const_cast<void*>(tensor.const_data_ptr()));
    operand.dtype = type;
    operand.swapped = false;
}

}  // namespace softmaxlib
