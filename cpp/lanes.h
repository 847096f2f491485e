// The lanes of the instruction set that this object is compiled for: one of the headers in lanes/.
#pragma once

#include "index.h"
#include SOFTMAXLIB_LANES

namespace {

using softmaxlib::Index;  // of the headers that only know lanes

}  // namespace
