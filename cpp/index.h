// The type of sizes and positions: as wide as an address on every system (a `long` has 32 bits on Windows).
#pragma once

#include <stddef.h>

namespace softmaxlib {

using Index = ptrdiff_t;

}  // namespace softmaxlib
