// Which instruction sets there are, which this machine has, and which one is in use.
#pragma once

#include <string>
#include <vector>

#include "decision_kernels.h"

namespace softmaxlib {

struct InstructionSet {
    const char* name;
    const char* needs;
    bool (*supported)();
    const KernelTable* kernels;
    const DecisionTable* decisions;
};

// Every one compiled in, the best first.
const std::vector<InstructionSet>& instruction_sets();

// The one in use: SOFTMAXLIB_ISA if set, else the best supported. Throws std::invalid_argument for an unknown or
// unsupported name, listing what this machine has.
const InstructionSet& chosen_instruction_set();

}  // namespace softmaxlib
