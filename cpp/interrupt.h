// Whether work that has released the interpreter's lock is to be given up.
#pragma once

namespace softmaxlib {

// Smaller work is not worth a look.
constexpr long least_interrupted = 1 << 20;

// Runs Python's handlers of signals, at most every 50 ms; true when one raised an error (KeyboardInterrupt).
bool signal_arrived();

}  // namespace softmaxlib
