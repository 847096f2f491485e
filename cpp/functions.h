// The functions that the kernels compute: one table of what holds for each.
#pragma once

#include "index.h"

namespace softmaxlib {

enum class Function : int {
    softmax,
    log_softmax,
    logsumexp,
    sparsemax,
    entmax15,
    softmax_jvp,
    log_softmax_jvp,
    log_softmax_vjp,
    log_softmax_vjp_of_logarithms,
};

struct FunctionTraits {
    Function function;
    const char* name;
    bool reduces;        // to one number a row
    bool splits_rows;    // parts of a row are summed up by themselves, so that threads share one long row
    bool is_derivative;  // there is a second operand: what moves, or what arrives from behind
    bool is_vjp;
    // With at most this many classes, sixteen rows share one vector; longer rows are faster one by one.
    Index short_row;
};

static constexpr FunctionTraits function_table[] = {
    // function, name, reduces, splits_rows, is_derivative, is_vjp, short_row
    {Function::softmax, "softmax", false, true, false, false, 448},
    {Function::log_softmax, "log_softmax", false, true, false, false, 384},
    {Function::logsumexp, "logsumexp", true, true, false, false, 448},
    {Function::sparsemax, "sparsemax", false, false, false, false, 64},
    {Function::entmax15, "entmax15", false, false, false, false, 64},
    {Function::softmax_jvp, "softmax_jvp", false, true, true, false, 256},
    {Function::log_softmax_jvp, "log_softmax_jvp", false, true, true, false, 256},
    {Function::log_softmax_vjp, "log_softmax_vjp", false, true, true, true, 256},
    {Function::log_softmax_vjp_of_logarithms, "log_softmax_vjp_of_logarithms", false, true, true, true, 256},
};

static constexpr const FunctionTraits& traits_of(Function function) {
    return function_table[static_cast<int>(function)];
}

static constexpr bool table_is_in_order() {
    for (const FunctionTraits& traits : function_table)
        if (&traits_of(traits.function) != &traits) return false;
    return true;
}
static_assert(table_is_in_order(), "each function stands at its own place in the table");

}  // namespace softmaxlib
