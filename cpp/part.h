// Up to sixteen rows of a task, or a part of them: where they lie, or packed into contiguous rows of the computing
// type.
#pragma once

#include "chunks.h"
#include "dtypes.h"
#include "rows.h"

namespace {

// Byte offset of the outer position `row` and of the inner position `k`.
inline ptrdiff_t locate(const Axes& axes, const ptrdiff_t* strides, Index index) {
    ptrdiff_t offset = 0;
    for (int d = axes.count - 1; d > 0; d--) {
        offset += index % axes.length[d] * strides[d];
        index /= axes.length[d];
    }
    return offset + index * strides[0];
}

// Calls fn(offset, length, stride) for the runs of the innermost axis that cover [start, start + n).
template <class Fn> inline void runs(const Axes& axes, const ptrdiff_t* strides, Index start, Index n, Fn fn) {
    int last = axes.count - 1;
    Index done = 0;
    while (done < n) {
        Index within = (start + done) % axes.length[last];
        Index length = axes.length[last] - within < n - done ? axes.length[last] - within : n - done;
        fn(locate(axes, strides, start + done), done, length, strides[last]);
        done += length;
    }
}

constexpr Index columns_ahead = 32;  // classes: of rows side by side, so far ahead is fetched

// The part [start, start + length) of up to sixteen rows that lie side by side.
template <class T, class S = T> struct Part {
    const Task& task;
    const Operand& input;  // what is read of the task
    Index first_row, start, length;
    int rows;
    T* buffer;  // sixteen rows, `buffer_row` apart

    static bool direct(const Operand& operand, const Axes& inner) {
        return operand.dtype == own_type<S> && !operand.swapped && inner.count == 1 &&
               operand.inner[0] == static_cast<ptrdiff_t>(sizeof(S));
    }
    bool by_columns(const Operand& operand) const {
        return rows > 1 && operand.dtype == own_type<T> && !operand.swapped && task.inner.count == 1 &&
               operand.outer[task.outer.count - 1] == static_cast<ptrdiff_t>(sizeof(T));
    }
    bool in_columns() const {
        return by_columns(input) || (by_columns(task.output) && !direct(task.output, task.inner));
    }
    // The rows lie in memory as they are read or written, from `first` on and `stride` bytes apart.
    inline __attribute__((always_inline)) bool in_place(const Operand& operand, char*& first, ptrdiff_t& stride) const {
        if (!direct(operand, task.inner) || (&operand == &input && task.where.data)) return false;
        first = row_start(operand, 0) + start * static_cast<ptrdiff_t>(sizeof(S));
        stride = operand.outer[task.outer.count - 1];
        return true;
    }
    // Sixteen rows side by side: element k of all of them from `first` + k * `stride` on.
    inline __attribute__((always_inline)) bool in_columns(const Operand& operand, char*& first,
                                                          ptrdiff_t& stride) const {
        if (rows < group_rows || !by_columns(operand) || (&operand == &input && task.where.data)) return false;
        stride = operand.inner[0];
        first = row_start(operand, 0) + start * stride;
        return true;
    }
    // Rows go through the buffer, on their way in or out.
    bool is_packed() const {
        return task.where.data || !direct(input, task.inner) ||
               (!traits_of(task.function).reduces && !direct(task.output, task.inner));
    }
    // Results go past the cache; not on their way through the buffer, from where they are read again.
    bool streams() const { return task.stream && direct(task.output, task.inner); }
    T* row_buffer(int r) const { return buffer + r * buffer_row; }
    // The rows of a part are neighbours along the last outer axis.
    inline __attribute__((always_inline)) char* row_start(const Operand& operand, int r) const {
        return operand.data + locate(task.outer, operand.outer, first_row) + r * operand.outer[task.outer.count - 1];
    }

    // Rows where they are, or packed into the buffer (in T, which then is S); masked elements become -inf.
    void fetch(const S* in[group_rows]) const {
        const Operand& from = input;
        char* first;
        ptrdiff_t stride;
        if (in_place(from, first, stride)) {
            for (int r = 0; r < rows; r++) in[r] = reinterpret_cast<const S*>(first + r * stride);
        } else {
            for (int r = 0; r < rows; r++) in[r] = reinterpret_cast<const S*>(row_buffer(r));
            if (by_columns(from)) {
                columns_to_rows();
            } else {
                for (int r = 0; r < rows; r++) {
                    const char* p = row_start(from, r);
                    runs(task.inner, from.inner, start, length, [&](ptrdiff_t at, Index k, Index n, ptrdiff_t stride) {
                        gather_any<T>(from.dtype, p + at, stride, n, from.swapped, row_buffer(r) + k);
                    });
                }
            }
        }
        if (task.where.data) hide();
    }
    void hide() const {
        for (int r = 0; r < rows; r++) {
            T* row = row_buffer(r);
            each_masked(r, [&](Index k) { row[k] = -infinity<T>; });
        }
    }
    template <class Fn> void each_masked(int r, Fn fn) const {
        const char* p = row_start(task.where, r);
        runs(task.inner, task.where.inner, start, length, [&](ptrdiff_t at, Index k, Index n, ptrdiff_t stride) {
            for (Index i = 0; i < n; i++)
                if (!p[at + i * stride]) fn(k + i);
        });
    }
    // (Into the second level of the cache: strides are often such that columns share few places of the first.)
    void columns_to_rows() const { columns_to_rows(0, length, group_rows * sizeof(T)); }
    // Some of the classes. So many bytes of each class to come are fetched.
    void columns_to_rows(Index from, Index to, Index fetched) const {
        constexpr int width = Lanes<T>::width;
        using Vector = typename Lanes<T>::Vector;
        const char* p = row_start(input, 0) + start * input.inner[0];
        ptrdiff_t stride = input.inner[0];
        // Whole cache lines: what begins within one ends in one more.
        const Index lines = fetched ? fetched + static_cast<Index>(reinterpret_cast<uintptr_t>(p) & 63) : 0;
        for (int half = 0; half < rows; half += width) {
            const char* column = p + half * sizeof(T);
            const int here = rows - half < width ? rows - half : width;
            Index k = from;
            for (; k + width <= to; k += width) {
                Vector block[width];
                for (Index at = 0; at < lines && half == 0; at += 64)
                    for (int i = 0; i < width; i++) prefetch_far(column + (k + i + columns_ahead) * stride + at);
                for (int i = 0; i < width; i++) {
                    const T* at = reinterpret_cast<const T*>(column + (k + i) * stride);
                    block[i] = here == width ? load(at) : load_partial(at, here, static_cast<T>(0));
                }
                transpose(block);
                for (int i = 0; i < here; i++) store(row_buffer(half + i) + k, block[i]);
            }
            for (; k < to; k++)
                for (int i = 0; i < here; i++)
                    row_buffer(half + i)[k] = read<T>(column + k * stride + i * sizeof(T), false);
        }
    }

    // fn(part) for each chunk of a segment.
    template <class Fn> void each_chunk(Segment segment, Fn fn) const {
        Part part = *this;
        ::each_chunk(segment, [&](Index at, Index n) {
            part.start = at;
            part.length = n;
            fn(part);
        });
    }

    // What is read after this chunk, of this row or the next; null where rows are packed.
    const char* following() const {
        if (task.where.data || !direct(input, task.inner)) return nullptr;
        const bool last = start + length == task.classes;
        return row_start(input, last ? 1 : 0) + (last ? 0 : (start + length) * static_cast<ptrdiff_t>(sizeof(S)));
    }

    // Where results go: the output itself, or the buffer.
    void targets(S* out[group_rows]) const {
        char* first = reinterpret_cast<char*>(buffer);
        ptrdiff_t stride = buffer_row * sizeof(T);
        in_place(task.output, first, stride);
        for (int r = 0; r < rows; r++) out[r] = reinterpret_cast<S*>(first + r * stride);
    }
    void commit(S* const out[group_rows], T masked_value) const {
        const Operand& to = task.output;
        if (task.where.data)
            for (int r = 0; r < rows; r++)
                each_masked(r, [&](Index k) { store_partial(out[r] + k, broadcast(masked_value), 1); });
        if (direct(to, task.inner)) return;
        if (by_columns(to)) return rows_to_columns();
        for (int r = 0; r < rows; r++) {
            char* p = row_start(to, r);
            runs(task.inner, to.inner, start, length, [&](ptrdiff_t at, Index k, Index n, ptrdiff_t stride) {
                scatter_any(to.dtype, row_buffer(r) + k, p + at, stride, n, to.swapped);
            });
        }
    }
    void rows_to_columns() const { rows_to_columns(0, length); }
    void rows_to_columns(Index from, Index to) const {
        constexpr int width = Lanes<T>::width;
        using Vector = typename Lanes<T>::Vector;
        char* p = row_start(task.output, 0) + start * task.output.inner[0];
        ptrdiff_t stride = task.output.inner[0];
        for (int half = 0; half < rows; half += width) {
            char* column = p + half * sizeof(T);
            const int here = rows - half < width ? rows - half : width;
            const bool whole_lines = task.stream && here == width &&
                                     (reinterpret_cast<uintptr_t>(column) | static_cast<uintptr_t>(stride)) % 64 == 0;
            Index k = from;
            for (; k + width <= to; k += width) {
                Vector block[width];
                for (int i = 0; i < width; i++)
                    block[i] = i < here ? load(row_buffer(half + i) + k) : broadcast(static_cast<T>(0));
                transpose(block);
                for (int i = 0; i < width; i++) {
                    T* at = reinterpret_cast<T*>(column + (k + i) * stride);
                    if (here < width) store_partial(at, block[i], here);
                    else whole_lines ? stream(at, block[i]) : store(at, block[i]);
                }
            }
            for (; k < to; k++)
                for (int i = 0; i < here; i++)
                    write<T>(column + k * stride + i * sizeof(T), row_buffer(half + i)[k], false);
        }
    }
};

// Group `index`: its rows, cut off at the ends of its run.
template <class T, class S = T>
inline Part<T, S> part_of(const Task& task, const Operand& input, Index index, void* scratch) {
    const Index last = task.outer.length[task.outer.count - 1], early = task.lead ? group_rows - task.lead : 0;
    const Index run = task.outer.count > 1 ? index / groups_per_run(task) : 0;
    const Index until = (index - run * groups_per_run(task) + 1) * group_rows - early;
    const Index from = until > group_rows ? until - group_rows : 0, to = until < last ? until : last;
    return {task, input, run * last + from, 0, 0, static_cast<int>(to - from), static_cast<T*>(scratch)};
}
template <class T, class S = T> inline Part<T, S> part_of(const Task& task, Index index, void* scratch) {
    return part_of<T, S>(task, task.input, index, scratch);
}

// fn(numbers, length) for the chunks of one row, in double.
template <class Fn> inline void each_chunk_of_row(const Task& task, Index row, Fn fn) {
    double buffer[chunk];
    const Part<double> whole = {task, task.input, row, 0, task.classes, 1, buffer};
    whole.each_chunk({0, task.classes}, [&](const Part<double>& part) {
        const double* in[group_rows];
        part.fetch(in);
        fn(in[0], part.length);
    });
}

// One value a row, for the functions that reduce.
template <class T> inline void write_result(const Task& task, Index row, T value) {
    scatter_any(task.output.dtype, &value, task.output.data + locate(task.outer, task.output.outer, row), 0, 1,
                task.output.swapped);
}

}  // namespace
