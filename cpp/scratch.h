// Working memory of a kernel: aligned to a cache line and allocated when it is first asked for.
#pragma once

#include <new>

#include "kernels.h"

namespace softmaxlib {

class Scratch {
    static constexpr std::align_val_t cache_line{64};
    size_t bytes_;
    void* memory_ = nullptr;

  public:
    explicit Scratch(size_t bytes = scratch_bytes) : bytes_(bytes) {}
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch() { ::operator delete(memory_, cache_line); }
    // Null if there is no memory.
    void* get() {
        if (!memory_) memory_ = ::operator new(bytes_, cache_line, std::nothrow);
        return memory_;
    }
};

}  // namespace softmaxlib
