#include "interrupt.h"

#include <atomic>

#include "lock.h"
#include "platform.h"

namespace softmaxlib {
namespace {

std::atomic<unsigned long> main_thread{0};

// The thread that forks is the child's main one.
void watch_forks() {
    static const bool watched = [] {
        platform::call_in_children([] { main_thread = PyThread_get_thread_ident(); });
        return true;
    }();
    (void)watched;
}

}  // namespace

bool watch_signals() {
    PyObject* threading = PyImport_ImportModule("threading");
    PyObject* thread = threading ? PyObject_CallMethod(threading, "main_thread", nullptr) : nullptr;
    PyObject* ident = thread ? PyObject_GetAttrString(thread, "ident") : nullptr;
    if (ident) main_thread = PyLong_AsUnsignedLong(ident);
    Py_XDECREF(ident);
    Py_XDECREF(thread);
    Py_XDECREF(threading);
    watch_forks();
    return !PyErr_Occurred();
}

bool signal_arrived() {
    if (PyThread_get_thread_ident() != main_thread) return false;
    static thread_local std::chrono::steady_clock::time_point last_look;
    auto now = std::chrono::steady_clock::now();
    if (now - last_look < std::chrono::milliseconds(50)) return false;
    last_look = now;
    Locked lock;
    return PyErr_CheckSignals() != 0;
}

}  // namespace softmaxlib
