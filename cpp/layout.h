// How the arrays of a call, all but a reduced result of one shape, become the axes of a task.
#pragma once

#include <stdlib.h>

#include <algorithm>

#include "kernels.h"

namespace softmaxlib {

// Strides are in bytes; null where there is no such array. A reduced output has its own, one for each dimension it has.
struct Layout {
    static constexpr int operands = 5;
    int dimensions;
    const ptrdiff_t* length;
    const ptrdiff_t *input, *output, *where, *sink, *tangent;
    bool out_is_reduced, out_keeps;

    // Inner axes in their own order (it defines the order of the sum), outer axes from the widest stride to the
    // narrowest, neighbours joined where every operand allows it. The operands' dtypes are set already.
    void fill(Task& task, const bool reduced[]) const {
        int out_axis[max_dimensions], outer[max_dimensions], outers = 0, next = 0;
        for (int d = 0; d < dimensions; d++) out_axis[d] = out_is_reduced && !out_keeps && reduced[d] ? -1 : next++;
        task.inner.count = task.outer.count = 0;
        task.rows = task.classes = 1;
        ptrdiff_t at[operands];
        for (int d = 0; d < dimensions; d++) {
            (reduced[d] ? task.classes : task.rows) *= length[d];
            if (length[d] == 1) continue;
            if (!reduced[d]) {
                outer[outers++] = d;
                continue;
            }
            stride_of(d, true, out_axis, at);
            push(task, true, length[d], at);
        }
        if (outers > 1)
            std::stable_sort(outer, outer + outers,
                             [&](int a, int b) { return std::abs(input[a]) > std::abs(input[b]); });
        for (int i = 0; i < outers; i++) {
            stride_of(outer[i], false, out_axis, at);
            push(task, false, length[outer[i]], at);
        }
        const ptrdiff_t none[operands] = {size_of(task.input.dtype), size_of(task.output.dtype), 0, 0,
                                          tangent ? size_of(task.tangent.dtype) : 0};
        if (task.inner.count == 0) push(task, true, 1, none);
        if (task.outer.count == 0) push(task, false, 1, none);
    }

  private:
    void stride_of(int d, bool is_inner, const int* out_axis, ptrdiff_t at[operands]) const {
        at[0] = input[d];
        at[1] = out_axis[d] >= 0 && !(is_inner && out_is_reduced) ? output[out_axis[d]] : 0;
        at[2] = where ? where[d] : 0;
        at[3] = sink && !is_inner ? sink[d] : 0;
        at[4] = tangent ? tangent[d] : 0;
    }
    static void push(Task& task, bool is_inner, Index length, const ptrdiff_t at[operands]) {
        Axes& axes = is_inner ? task.inner : task.outer;
        Operand* each[operands] = {&task.input, &task.output, &task.where, &task.sink, &task.tangent};
        auto strides = [&](int k) { return is_inner ? each[k]->inner : each[k]->outer; };
        if (axes.count > 0) {
            int last = axes.count - 1;
            bool joins = true;
            for (int k = 0; k < operands; k++) joins = joins && strides(k)[last] == at[k] * length;
            if (joins) {
                axes.length[last] *= length;
                for (int k = 0; k < operands; k++) strides(k)[last] = at[k];
                return;
            }
        }
        axes.length[axes.count] = length;
        for (int k = 0; k < operands; k++) strides(k)[axes.count] = at[k];
        axes.count++;
    }
};

// The temperature as the kernels take it, and whether it makes the task one in double precision.
inline void set_temperature(Task& task, double temperature) {
    task.temperature = temperature;
    if (temperature > 0x1p-60 && temperature < 0x1p60) return;
    task.wide = true;  // the scale would leave the range of a float
    task.temperature = std::min(std::max(temperature, 1e-290), 1e290);
}

}  // namespace softmaxlib
