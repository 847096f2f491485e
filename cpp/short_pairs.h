// softmax of very short rows, two groups of sixteen at a time.
#pragma once

#include "register_rows.h"

namespace {

// Whole groups of rows that lie where they are read and written, `stride` bytes apart.
struct InPlace {
    bool holds;
    ptrdiff_t from, to;
    explicit InPlace(const Task& task)
        : holds(task.outer.count == 1 && !task.lead && !task.where.data &&
                Part<float>::direct(task.input, task.inner) && Part<float>::direct(task.output, task.inner)),
          from(task.input.outer[0]), to(task.output.outer[0]) {}
    bool is_packed(Index classes) const {
        const ptrdiff_t bytes = classes * static_cast<ptrdiff_t>(sizeof(float));
        return holds && from == bytes && to == bytes;
    }
};

// Groups two at a time. Returns the first that is not done. Rows in place are found without a Part each, which would be
// a tenth of the work on ten classes.
inline Index short_softmax_pairs(const Task& task, const Scale<float>& scale, const Exponential<float>& exponential,
                                 Index first, Index last, void* scratch, Staging& staging) {
    const InPlace place(task);
    const PairsInRegisters in_registers = place.is_packed(task.classes) ? pairs_in_registers_of(task.classes) : nullptr;
    const bool streams = task.stream && reinterpret_cast<uintptr_t>(task.output.data) % 64 == 0;
    alignas(64) float tile[paired_row * 2 * group_rows];
    for (; first + 2 <= last; first += 2) {
        const char* from = task.input.data + first * group_rows * place.from;
        char* to = task.output.data + first * group_rows * place.to;
        if (in_registers) {
            const Index end = last * group_rows < task.rows ? last * group_rows : task.rows;
            const Index pairs = (end / group_rows - first) / 2;
            const Index done = in_registers(scale, exponential, reinterpret_cast<const float*>(from),
                                            reinterpret_cast<float*>(to), pairs, streams);
            first += 2 * done;
            from += 2 * done * group_rows * place.from;
            to += 2 * done * group_rows * place.to;
            if (first + 2 > last) break;
        }
        if (!place.holds || (first + 2) * group_rows > task.rows) {
            Part<float> parts[2] = {part_of<float>(task, first, scratch), part_of<float>(task, first + 1, scratch)};
            parts[0].length = parts[1].length = task.classes;
            short_softmax_groups(task, scale, exponential, parts, staging);
            continue;
        }
        for (int g = 0; g < 2; g++)
            load_tile(from + g * group_rows * place.from, place.from, task.classes, tile + g * group_rows,
                      2 * group_rows);
        short_softmax<2>(scale, exponential, tile, task.classes);
        for (int g = 0; g < 2; g++)
            store_rows(task, TileColumns{tile + g * group_rows, 2 * group_rows}, to + g * group_rows * place.to,
                       place.to, staging);
    }
    return first;
}

}  // namespace
