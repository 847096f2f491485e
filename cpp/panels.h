// Long rows that lie side by side, class by class: several groups together, block by block of their classes. What lies
// together in memory is then read and written together, a page at a time.
#pragma once

#include "part.h"

namespace {

constexpr Index panel_block = 64;  // classes that are turned for one group, and then for the next

template <class T, class Engine> struct Panel {
    static constexpr int most = panel_groups * sizeof(float) / sizeof(T);
    const Task& task;
    Engine& engine;
    T* buffer;
    Index first;
    int groups;
    RowState sums[most][group_rows], segment[most][group_rows];

    Part<T> part(int g, Index start, Index length) const {
        Part<T> one = part_of<T>(task, first + g, buffer + g * group_rows * buffer_row);
        one.start = start;
        one.length = length;
        return one;
    }
    // fn(part, g, from, to) for the blocks of a chunk, each for all the groups.
    template <class Fn> void each_block(Index start, Index length, Fn fn) const {
        for (Index from = 0; from < length; from += panel_block)
            for (int g = 0; g < groups; g++)
                fn(part(g, start, length), g, from, from + panel_block < length ? from + panel_block : length);
    }
    // fn(part, g, rows) for each group of a chunk, which is fetched into the buffer.
    template <class Fn> void each_group(Index start, Index length, Fn fn) const {
        const Index bytes = groups * group_rows * sizeof(T);
        each_block(start, length, [&](const Part<T>& here, int g, Index from, Index to) {
            here.columns_to_rows(from, to, g == 0 ? bytes : 0);
        });
        for (int g = 0; g < groups; g++) {
            const Part<T> here = part(g, start, length);
            T* rows[group_rows];
            for (int r = 0; r < here.rows; r++) rows[r] = here.row_buffer(r);
            fn(here, g, rows);
        }
    }
    void run() {
        each_chunk({0, task.classes}, [&](Index start, Index length) {
            each_group(start, length, [&](const Part<T>& here, int g, T* const* rows) {
                engine.read_rows(rows, here, sums[g], segment[g], Nowhere());
            });
        });
        for (int g = 0; g < groups; g++) {
            const Part<T> here = part(g, 0, task.classes);
            engine.finish(here, 0, here.rows, sums[g]);
        }
        if (traits_of(task.function).reduces) return;
        each_chunk({0, task.classes}, [&](Index start, Index length) {
            each_group(start, length, [&](const Part<T>& here, int g, T* const* rows) {
                engine.write_rows(rows, rows, here, sums[g]);
            });
            each_block(start, length,
                       [&](const Part<T>& here, int, Index from, Index to) { here.rows_to_columns(from, to); });
        });
    }
};

// Returns the first group that is not done.
template <class T, class Engine>
inline Index panels(const Task& task, Index first, Index last, void* scratch, Engine& engine) {
    if (!goes_in_panels(task) || last - first < 2) return first;
    const Part<T> any = part_of<T>(task, first, scratch);
    if (!any.by_columns(task.input)) return first;
    if (!traits_of(task.function).reduces && !any.by_columns(task.output)) return first;
    Panel<T, Engine> panel = {task, engine, static_cast<T*>(scratch), 0, 0, {}, {}};
    for (; first < last; first += panel.groups) {
        panel.first = first;
        panel.groups = last - first < panel.most ? static_cast<int>(last - first) : panel.most;
        panel.run();
    }
    return last;
}

}  // namespace
