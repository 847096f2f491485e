// The fixed borders within a long row: chunks, which are summed up at once, and segments of several chunks.
#pragma once

#include "kernels.h"

namespace {

using namespace softmaxlib;

struct Segment {
    Index from, to;
};
inline Segment segment_at(Index classes, Index index) {
    const Index length = segment_length(classes), from = index * length;
    return {from, from + length < classes ? from + length : classes};
}

// fn(start, length) for the chunks of a segment, or of a whole row.
template <class Fn> inline __attribute__((always_inline)) void each_chunk(Segment segment, Fn fn) {
    for (Index start = segment.from; start < segment.to; start += chunk)
        fn(start, segment.to - start < chunk ? segment.to - start : chunk);
}

// Joins the later part with the earlier one, if there is one.
template <class State, class Join>
inline void join_in_order(bool first, State& before, const State& behind, Join join) {
    if (first) before = behind;
    else join(before, behind);
}

// One more chunk of a row that is read in order: it joins its segment, and a segment that is whole joins the row.
template <class State, class Join>
inline void join_chunk(Index classes, Index start, Index length, State& row, State& segment, const State& part,
                       Join join) {
    const Index whole = segment_length(classes), end = start + length;
    join_in_order(start % whole == 0, segment, part, join);
    if (end % whole == 0 || end == classes) join_in_order(start < whole, row, segment, join);
}

// The segments of a group of rows, joined in order into the first.
template <class State, class Join> inline void join_segments(State* states, int rows, Index segments, Join join) {
    for (Index s = 1; s < segments; s++)
        for (int r = 0; r < rows; r++) join(states[r], states[s * group_rows + r]);
}

}  // namespace
