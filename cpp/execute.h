// Runs a task on the instruction set and the threads in use. Python's lock may be held or not: long work releases it.
#pragma once

#include "kernels.h"
#include "threads.h"

namespace softmaxlib {

// A call of fewer elements keeps the interpreter's lock: releasing it costs as much as the work.
constexpr Index least_released = 4096;

// Interrupted: a handler of a signal has set a Python error.
Outcome execute(Task& task, Crew crew = Crew::own);
Outcome execute(LossTask& task, Crew crew = Crew::own);

}  // namespace softmaxlib
