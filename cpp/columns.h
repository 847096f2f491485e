// softmax of long rows that lie side by side, class by class: each lane of a vector is a row of its own. Memory is read
// and written in its own order, for one class after the other: once to find the largest of a chunk, once to sum it up,
// and once for the results. Each row takes the same steps in the same order as a row that is contiguous.
#pragma once

#include "row_state.h"

namespace {

// What is known of the rows of one vector while their results are written, lane by lane.
template <class T> struct ColumnFactors {
    using Vector = typename Lanes<T>::Vector;
    Vector offset, magic, least;  // of the exponential
    Vector high, low;             // of the inverse of the total, `high` NaN where the results are
    Range range;                  // of all the rows
};

// The working memory, for so many vectors side by side.
template <class T> struct ColumnMemory {
    using Vector = typename Lanes<T>::Vector;
    static constexpr int width = Lanes<T>::width, most = column_groups * group_rows / width;
    const char* in[most];
    char* out[most];
    Index first_row[most];
    int rows[most];
    Vector top[most], bottom[most];
    Vector whole[4][most], low[4][most];  // what four accumulators have summed up
    typename WideOf<T>::type wide[width][most];
    ColumnFactors<T> factors[most];
    RowState chunk_states[most][width], segment[most][width], sums[most][width];
};

// The total of row r, whose accumulators are put as a row that is contiguous has them: each in a lane of one vector.
// They lie `apart` from each other.
inline Total total_of_row(const WideFloats* wide, Index apart, int r) {
    double lanes[16], own[16];
    for (int lane = 0; lane < 16; lane++) {
        store(own, wide[lane * apart].first);
        store(own + 8, wide[lane * apart].second);
        lanes[lane] = own[r];
    }
    WideFloats row;
    row.first = load(lanes);
    row.second = load(lanes + 8);
    return row.total();
}
inline Total total_of_row(const WideDoubles* wide, Index apart, int r) {
    double sums[8], rests[8], own[8];
    for (int lane = 0; lane < 8; lane++) {
        store(own, wide[lane * apart].sum);
        sums[lane] = own[r];
        store(own, wide[lane * apart].rest);
        rests[lane] = own[r];
    }
    WideDoubles row;
    row.sum = load(sums);
    row.rest = load(rests);
    return row.total();
}

template <class T, class Engine> struct Columns {
    using Vector = typename Lanes<T>::Vector;
    static constexpr int width = Lanes<T>::width, round = 4 * width;
    static constexpr int rounds_kept = 8;      // rounds of the accumulators that are flushed together
    static constexpr int strip = 4;            // classes that are read together
    static constexpr Index classes_ahead = 8;  // so far ahead is fetched
    static_assert(sizeof(ColumnMemory<T>) <= scratch_bytes, "the working memory holds the state of all columns");

    const Task& task;
    Engine& engine;
    ColumnMemory<T>& at;
    ptrdiff_t from, to;  // bytes from class to class
    int vectors = 0;
    bool streams;

    Columns(const Task& t, Engine& e, void* scratch)
        : task(t), engine(e), at(*static_cast<ColumnMemory<T>*>(scratch)), from(t.input.inner[0]),
          to(t.output.inner[0]), streams(t.stream && to % 64 == 0) {}

    void add(const Part<T>& part) {
        for (int r = 0; r < part.rows; r += width) {
            at.in[vectors] = part.row_start(task.input, r);
            at.out[vectors] = part.row_start(task.output, r);
            at.first_row[vectors] = part.first_row + r;
            streams = streams && (part.rows - r < width || reinterpret_cast<uintptr_t>(at.out[vectors]) % 64 == 0);
            at.rows[vectors++] = part.rows - r < width ? part.rows - r : width;
        }
    }
    template <bool whole> Vector load_class(int v, const char* p) const {
        const T* numbers = reinterpret_cast<const T*>(p);
        return whole ? load(numbers) : load_partial(numbers, at.rows[v], static_cast<T>(0));
    }
    // fn(vector, whole): whether it has all its rows.
    template <class Fn> inline __attribute__((always_inline)) void each_vector(Fn fn) const {
        for (int v = 0; v < vectors; v++)
            with_constant(at.rows[v] == width, [&](auto whole) __attribute__((always_inline)) { fn(v, whole); });
    }

    void find_extremes(Index start, Index length) {
        for (int v = 0; v < vectors; v++) {
            at.top[v] = broadcast(-infinity<T>);
            at.bottom[v] = broadcast(infinity<T>);
        }
        Index k = start;
        const auto look = [&](auto together) __attribute__((always_inline)) {
            constexpr int count = decltype(together)::value;
            each_vector([&](int v, auto whole) __attribute__((always_inline)) {
                const char* p = at.in[v] + k * from;
                Vector top = at.top[v], bottom = at.bottom[v];
                for (int i = 0; i < count; i++) {
                    prefetch_far(p + (i + classes_ahead) * from);
                    const Vector x = load_class<decltype(whole)::value>(v, p + i * from);
                    top = maximum(top, x);
                    bottom = minimum(bottom, x);
                }
                at.top[v] = top;
                at.bottom[v] = bottom;
            });
            k += count;
        };
        while (k + strip <= start + length) look(Count<strip>());
        while (k < start + length) look(Count<1>());
    }

    // What the exponentials of these rows are relative to.
    void refer(int v, const RowState* states) {
        T offset[width], magic[width], least[width];
        for (int r = 0; r < width; r++) {
            engine.exponential.relative_to(engine.scale, {states[r].offset, states[r].power});
            store_partial(offset + r, engine.exponential.offset, 1);
            store_partial(magic + r, engine.exponential.magic, 1);
            store_partial(least + r, engine.exponential.least, 1);
        }
        at.factors[v].offset = load(offset);
        at.factors[v].magic = load(magic);
        at.factors[v].least = load(least);
    }
    Exponential<T> exponential_of(const ColumnFactors<T>& factors) const {
        Exponential<T> own = engine.exponential;
        own.offset = factors.offset;
        own.magic = factors.magic;
        own.least = factors.least;
        return own;
    }
    // The states of a chunk that lack its sum.
    void begin_states(int v, Index start, Index length) {
        T tops[width], bottoms[width];
        store(tops, at.top[v]);
        store(bottoms, at.bottom[v]);
        Range range = Range::close;
        for (int r = 0; r < width; r++) {
            RowState& state = at.chunk_states[v][r] = empty_state;
            if (r >= at.rows[v]) continue;
            if (is_finite(tops[r])) {
                const Reference to = reference(engine.scale, tops[r]);
                state.maximum = tops[r];
                state.minimum = bottoms[r];
                state.offset = to.offset;
                state.power = to.power;
            } else {
                state = degenerate_column(v, r, start, length, tops[r]);
            }
            range = wider(range, range_of(engine.scale, state));
        }
        at.factors[v].range = range;
        refer(v, at.chunk_states[v]);
    }
    RowState degenerate_column(int v, int r, Index start, Index length, T maximum) const {
        T row[chunk];
        for (Index k = 0; k < length; k++)
            row[k] = read<T>(at.in[v] + (start + k) * from + r * static_cast<ptrdiff_t>(sizeof(T)), false);
        return degenerate<T>(row, length, maximum);
    }
    void end_states(int v, Index start, Index length) {
        for (int r = 0; r < at.rows[v]; r++) {
            RowState& state = at.chunk_states[v][r];
            if (is_finite(state.maximum)) state = with_total(state, total_of_row(&at.wide[0][v], at.most, r));
            join_chunk(task.classes, start, length, at.sums[v][r], at.segment[v][r], state, engine.merging());
        }
    }
    // What one accumulator of one lane of a contiguous row sums up: every round-th class from `first` on, in so many
    // rounds; then `further` ones, width apart, from `more` on; and `nothing` as a row that is filled up has it.
    template <bool whole, Range range>
    inline __attribute__((always_inline)) void sum_up(int v, int quarter, Index first, int rounds, Index more,
                                                      int further, bool nothing, ptrdiff_t next) {
        constexpr bool all_normal = range != Range::any;
        const Exponential<T> exponential = exponential_of(at.factors[v]);
        Accumulator<T> sum;
        const auto take = [&](auto& x) __attribute__((always_inline)) {
            constexpr int count = sizeof(x) / sizeof(x[0]);
            Vector value[count], excess[count];
            exponential.template parts<all_normal>(x, value, excess);
            for (int i = 0; i < count; i++) sum.template add<range>(value[i], excess[i]);
        };
        static_assert(until_settled % interleaved == 0, "several are not added across a settlement");
        const char* p = at.in[v] + first * from;
        const ptrdiff_t step = round * from;
        int m = 0;
        for (; m + interleaved <= rounds; m += interleaved) {
            Vector x[interleaved];
            for (int i = 0; i < interleaved; i++) {
                x[i] = load_class<whole>(v, p + (m + i) * step);
                prefetch_far(p + (m + i) * step + next);
            }
            take(x);
            if ((m + interleaved) % until_settled == 0) sum.settle();
        }
        for (; m < rounds; m++) {
            Vector x[1] = {load_class<whole>(v, p + m * step)};
            take(x);
        }
        sum.settle();
        for (int i = 0; i < further; i++) {
            Vector x[1] = {load_class<whole>(v, at.in[v] + (more + i * width) * from)};
            take(x);
        }
        if (nothing && !all_normal) {
            Vector x[1] = {broadcast(-infinity<T>)};
            take(x);
        }
        sum.settle();
        at.whole[quarter][v] = sum.whole();
        at.low[quarter][v] = sum.low;
    }
    // The rounds that are flushed together, and what is behind the last one.
    void sum_block(Index first, int rounds, Index behind) {
        const Index more = first + rounds * round;
        for (int lane = 0; lane < width; lane++) {
            for (int quarter = 0; quarter < 4; quarter++) {
                const ptrdiff_t next = (quarter < 3 ? width : 1 - 3 * width) * from;
                const int further = quarter ? 0 : static_cast<int>(behind / width + (lane < behind % width));
                const bool nothing = !quarter && behind % width && lane >= behind % width;
                each_vector([&](int v, auto whole) __attribute__((always_inline)) {
                    with_range<T>(at.factors[v].range, [&](auto range) __attribute__((always_inline)) {
                        sum_up<decltype(whole)::value, decltype(range)::value>(
                            v, quarter, first + quarter * width + lane, rounds, more + lane, further, nothing, next);
                    });
                });
            }
            for (int v = 0; v < vectors; v++)
                at.wide[lane][v].add((at.whole[0][v] + at.whole[1][v]) + (at.whole[2][v] + at.whole[3][v]),
                                     (at.low[0][v] + at.low[1][v]) + (at.low[2][v] + at.low[3][v]));
        }
    }
    void sum_chunk(Index start, Index length) {
        for (int lane = 0; lane < width; lane++)
            for (int v = 0; v < vectors; v++) at.wide[lane][v] = typename WideOf<T>::type();
        Index rounds = length / round, first = start;
        for (; rounds > rounds_kept; rounds -= rounds_kept) {
            sum_block(first, rounds_kept, 0);
            first += rounds_kept * round;
        }
        sum_block(first, static_cast<int>(rounds), length % round);
    }
    void read_chunk(Index start, Index length) {
        find_extremes(start, length);
        for (int v = 0; v < vectors; v++) begin_states(v, start, length);
        sum_chunk(start, length);
        for (int v = 0; v < vectors; v++) end_states(v, start, length);
    }

    // What is left to do for the rows once they are summed up.
    void finish(int v) {
        T high[width], low[width];
        ColumnFactors<T>& factors = at.factors[v];
        factors.range = Range::close;
        for (int r = 0; r < width; r++) {
            RowState& state = at.sums[v][r];
            if (r < at.rows[v]) merge_sink(task, engine.scale, at.first_row[v] + r, state);
            else state = with_total(empty_state, {1, 0});
            if (r < at.rows[v]) factors.range = wider(factors.range, range_of(engine.scale, state));
        }
        for (int r = 0; r < width; r++) {
            const RowState& state = at.sums[v][r];
            inverse(total_of(state), factors.range == Range::any ? Lanes<T>::lift : 1, high[r], low[r]);
            low[r] = powers_of(low[r]);
            if (!is_finite(state.maximum) && r < at.rows[v]) high[r] = not_a_number<T>;
        }
        factors.high = load(high);
        factors.low = load(low);
        refer(v, at.sums[v]);
    }
    template <bool all_normal, int count>
    inline __attribute__((always_inline)) void results(const ColumnFactors<T>& factors, Vector (&x)[count]) const {
        shares_of_lanes<all_normal>(exponential_of(factors), factors.high, factors.low, x);
        if (all_normal) return;
        const auto is_number = equal(factors.high, factors.high);
        for (auto& one : x) one = select(is_number, one, broadcast(not_a_number<T>));
    }
    template <int count> void write_classes(Index k) {
        each_vector([&](int v, auto whole) __attribute__((always_inline)) {
            constexpr bool is_whole = decltype(whole)::value;
            const ColumnFactors<T>& factors = at.factors[v];
            const char* p = at.in[v] + k * from;
            char* q = at.out[v] + k * to;
            Vector x[count];
            for (int i = 0; i < count; i++) {
                prefetch_far(p + (i + classes_ahead) * from);
                x[i] = load_class<is_whole>(v, p + i * from);
            }
            factors.range == Range::any ? results<false>(factors, x) : results<true>(factors, x);
            for (int i = 0; i < count; i++) {
                T* result = reinterpret_cast<T*>(q + i * to);
                if (!is_whole) store_partial(result, x[i], at.rows[v]);
                else streams ? stream(result, x[i]) : store(result, x[i]);
            }
        });
    }
    void run() {
        each_chunk({0, task.classes}, [&](Index start, Index length) { read_chunk(start, length); });
        for (int v = 0; v < vectors; v++) finish(v);
        Index k = 0;
        for (; k + strip <= task.classes; k += strip) write_classes<strip>(k);
        for (; k < task.classes; k++) write_classes<1>(k);
        vectors = 0;
    }
};

// Returns the first group that is not done.
template <class T, class Engine>
inline Index columns(const Task& task, Index first, Index last, void* scratch, Engine& engine) {
    if (!goes_by_columns(task)) return first;
    const Part<T> any = part_of<T>(task, first, scratch);
    if (!any.by_columns(task.input) || !any.by_columns(task.output)) return first;
    Columns<T, Engine> side_by_side(task, engine, scratch);
    while (first < last) {
        for (int g = 0; g < column_groups && first < last; g++) side_by_side.add(part_of<T>(task, first++, scratch));
        side_by_side.run();
    }
    return last;
}

}  // namespace
