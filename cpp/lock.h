// Python's lock: taken, or released, for as long as an object lives.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <chrono>
#include <thread>

namespace softmaxlib {

// Before 3.14, CPython ends a thread that asks for the lock while the interpreter exits, by unwinding the thread's
// stack. Destructors would then drop references without the lock, and other threads would work on memory that is gone.
// Here such a thread sleeps until the process ends, which is what CPython does from 3.14.
template <class Ask> auto take_lock(Ask ask) {
    try {
        return ask();
    } catch (...) {
        for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    }
}

// For a thread that may or may not hold the lock.
class Locked {
    PyGILState_STATE before_ = take_lock(PyGILState_Ensure);

  public:
    Locked() = default;
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;
    ~Locked() { PyGILState_Release(before_); }
};

// For a thread that holds the lock.
class Unlocked {
    PyThreadState* thread_ = PyEval_SaveThread();

  public:
    Unlocked() = default;
    Unlocked(const Unlocked&) = delete;
    Unlocked& operator=(const Unlocked&) = delete;
    ~Unlocked() {
        take_lock([this] { PyEval_RestoreThread(thread_); });
    }
};

}  // namespace softmaxlib
