// The lanes of the instruction set that this object is compiled for: one of the headers in lanes/.
#pragma once

#include SOFTMAXLIB_LANES
