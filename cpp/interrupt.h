// Whether work without the interpreter's lock should stop.
#pragma once

#include "index.h"

namespace softmaxlib {

// Smaller work does not check for interrupts.
constexpr Index least_interrupted = 1 << 20;

// Finds out which thread is Python's main one. False, with a Python error set, where that fails. Needs the lock.
bool watch_signals();

// Runs Python's handlers of signals, at most every 50 ms; true when one raised an error (KeyboardInterrupt). Python
// runs them on its main thread alone: any other is told false at once.
bool signal_arrived();

}  // namespace softmaxlib
