// What the module of the kernels lends to other compiled modules of the library, in a capsule: so that there is one
// copy of the kernels, of the threads and of the kept memory in a process.
#pragma once

#include "buffers.h"
#include "execute.h"

namespace softmaxlib {

constexpr const char* interface_capsule = "softmaxlib._kernels.interface";

struct Interface {
    size_t task_size, loss_task_size;  // the borrower was compiled from the same headers
    Outcome (*execute)(Task&, Crew);
    Outcome (*execute_losses)(LossTask&, Crew);
    void* (*take_buffer)(size_t bytes);
    void (*give_back_buffer)(void* buffer);
    size_t most_kept_bytes;
};

}  // namespace softmaxlib
