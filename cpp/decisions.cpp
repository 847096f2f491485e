// The kernels of decisions and of what metrics are made of, for one instruction set: an object beside that of
// kernels.cpp, under the same rules.

#include SOFTMAXLIB_LANES
#include "class_cells.h"
#include "judge.h"
#include "score.h"

extern "C" const softmaxlib::DecisionTable SOFTMAXLIB_TABLE = {judge, score, count_cells};
