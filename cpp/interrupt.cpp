#include "interrupt.h"

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <chrono>

namespace softmaxlib {

bool signal_arrived() {
    static thread_local std::chrono::steady_clock::time_point last_look;
    auto now = std::chrono::steady_clock::now();
    if (now - last_look < std::chrono::milliseconds(50)) return false;
    last_look = now;
    PyGILState_STATE held = PyGILState_Ensure();
    bool arrived = PyErr_CheckSignals() != 0;
    PyGILState_Release(held);
    return arrived;
}

}  // namespace softmaxlib
