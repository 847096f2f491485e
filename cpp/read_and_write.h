// The order in which rows of several chunks are read and written.
#pragma once

#include "part.h"

namespace {

// While one row is read, the one before it, which is still
// in the second level of the cache, is written: chunk by chunk, so that memory is as busy at any time. Rows side by
// side in memory are taken all at once. The steps are read(part, later), finish(part) and write(part, later), where
// half as much as is worked on may be fetched from `later` on, if that is not null; finish() makes what the rows that
// were read have left the state of those that are written.
template <class T, class S, class Steps>
inline void read_and_write(const Part<T, S>& whole, bool writes, Steps& steps) {
    const Index together = whole.in_columns() ? whole.rows : 1, end = whole.first_row + whole.rows;
    Part<T, S> read = whole, written = whole;
    written.rows = 0;
    while (read.first_row < end || written.rows) {
        read.rows = static_cast<int>(end - read.first_row < together ? end - read.first_row : together);
        each_chunk({0, whole.task.classes}, [&](Index start, Index length) {
            read.start = written.start = start;
            read.length = written.length = length;
            const char* later = read.rows ? read.following() : nullptr;
            if (read.rows) steps.read(read, later);
            if (later) later += chunk / 2 * sizeof(S);
            if (written.rows) steps.write(written, later);
        });
        if (read.rows) steps.finish(read);
        written.first_row = read.first_row;
        written.rows = writes ? read.rows : 0;
        read.first_row += read.rows;
    }
}

}  // namespace
