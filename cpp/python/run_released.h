// Work shared out among threads, without the interpreter's lock.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "../interrupt.h"
#include "../lock.h"
#include "../schedule.h"

namespace softmaxlib {

// None, or null with an error set.
inline PyObject* run_released(void (*unit)(void*, Index, void*), void* context, Index units, Index elements) {
    const Work work = {unit, context, units, true,
                       elements < least_interrupted ? nullptr : +[](void*) { return signal_arrived(); }};
    const int threads = elements < least_parallel ? 1 : available_threads();
    Outcome outcome;
    {
        Unlocked released;
        outcome = run(work, threads, Crew::own);
    }
    if (outcome == Outcome::interrupted) return nullptr;
    if (outcome == Outcome::no_memory) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

}  // namespace softmaxlib
