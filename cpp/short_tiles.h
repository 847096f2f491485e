// Sixteen short rows turned into the lanes of vectors, class by class, and back.
#pragma once

#include "part.h"

namespace {

// What looks at the classes of a tile as they come, each once, and is returned then: this one at none of them.
struct Unseen {
    void take(Floats) {}
};

// tile + k * step holds class k of the sixteen rows, which begin `stride` bytes apart. Four classes are turned at a
// time; the last four overlap where the number is no multiple of four.
template <class Look = Unseen>
inline Look load_tile(const char* in, ptrdiff_t stride, Index classes, float* tile, Index step, Look look = Look()) {
    if (classes < 4) {
        for (Index k = 0; k < classes; k++) {
            for (int r = 0; r < group_rows; r++)
                tile[k * step + r] = read<float>(in + r * stride + k * sizeof(float), false);
            look.take(load(tile + k * step));
        }
        return look;
    }
    for (Index k = 0; k < classes; k += 4) {
        const int seen = k + 4 <= classes ? 0 : static_cast<int>(k + 4 - classes);
        Floats columns[4];
        load_columns(in + (k - seen) * static_cast<Index>(sizeof(float)), stride, columns);
        for (int c = 0; c < 4; c++) {
            store(tile + (k - seen + c) * step, columns[c]);
            if (c >= seen) look.take(columns[c]);
        }
    }
    return look;
}

// The classes of a tile as they are stored: column(k) is class k of the sixteen rows.
struct TileColumns {
    const float* tile;
    Index step;
    Floats operator()(Index k) const { return load(tile + k * step); }
};
template <class Columns> inline void store_tile(const Columns& column, Index classes, char* out, ptrdiff_t stride) {
    if (classes < 4) {
        for (Index k = 0; k < classes; k++) {
            float numbers[group_rows];
            store(numbers, column(k));
            for (int r = 0; r < group_rows; r++) write(out + r * stride + k * sizeof(float), numbers[r], false);
        }
        return;
    }
    Index k = 0;
    // Whole lines of the output where sixteen vectors fit the registers.
    for (; interleaved > 1 && k + group_rows <= classes; k += group_rows) {
        Floats block[group_rows];
        for (int c = 0; c < group_rows; c++) block[c] = column(k + c);
        transpose(block);
        for (int r = 0; r < group_rows; r++) store(reinterpret_cast<float*>(out + r * stride) + k, block[r]);
    }
    for (; k < classes; k += 4) {
        Index at = k + 4 <= classes ? k : classes - 4;
        Floats columns[4];
        for (int c = 0; c < 4; c++) columns[c] = column(at + c);
        store_columns(columns, out + at * sizeof(float), stride);
    }
}

// The work on rows of so few classes hides that their output goes through the cache; staging it would not be hidden.
constexpr Index unstaged_row = 16;

// Results of several groups, to be streamed out together in whole cache lines.
struct Staging {
    static constexpr Index capacity = group_rows * short_loss;
    float* target = nullptr;
    Index filled = 0;
    alignas(64) float values[capacity + 16];

    // Where n results for `to` are put; n is at most the capacity.
    char* room(float* to, Index n) {
        if (filled && (target + filled != to || filled + n > capacity)) flush();
        if (!filled) target = to;
        filled += n;
        return reinterpret_cast<char*>(values + filled - n);
    }
    void flush() {
        if (filled) map<float>(values, target, filled, true, nullptr, 0, [](auto&, Index) {});
        filled = 0;
    }
};

// Where a group has fewer than sixteen rows, copies of them, whole vectors each, are filled up with zeros.
constexpr Index most_copied = group_rows * short_loss * sizeof(float);
inline ptrdiff_t copied_stride(Index classes) {
    return (classes + 15) / 16 * 16 * static_cast<ptrdiff_t>(sizeof(float));
}

template <class Look = Unseen>
inline Look load_short(const Part<float>& part, float* tile, Index step, Look look = Look()) {
    char* first;
    ptrdiff_t stride;
    if (part.rows == group_rows && part.in_place(part.input, first, stride))
        return load_tile(first, stride, part.length, tile, step, look);
    if (part.in_columns(part.input, first, stride)) {
        for (Index k = 0; k < part.length; k++) {
            const Floats column = load(reinterpret_cast<const float*>(first + k * stride));
            store(tile + k * step, column);
            look.take(column);
        }
        return look;
    }
    const float* in[group_rows];
    part.fetch(in);
    if (part.rows == group_rows)
        return load_tile(reinterpret_cast<const char*>(in[0]), (in[1] - in[0]) * sizeof(float), part.length, tile, step,
                         look);
    char copies[most_copied];
    stride = copied_stride(part.length);
    memset(copies, 0, group_rows * stride);
    for (int r = 0; r < part.rows; r++) memcpy(copies + r * stride, in[r], part.length * sizeof(float));
    return load_tile(copies, stride, part.length, tile, step, look);
}
// Sixteen rows to where they lie.
template <class Columns>
inline void store_rows(const Task& task, const Columns& column, char* first, ptrdiff_t stride, Staging& staging) {
    const ptrdiff_t packed = task.classes * static_cast<ptrdiff_t>(sizeof(float));
    if (!task.stream || stride != packed || task.classes <= unstaged_row)
        return store_tile(column, task.classes, first, stride);
    store_tile(column, task.classes, staging.room(reinterpret_cast<float*>(first), group_rows * task.classes), packed);
}
template <class Columns>
inline void store_short(const Task& task, const Part<float>& part, const Columns& column, float masked,
                        Staging& staging) {
    const ptrdiff_t packed = part.length * static_cast<ptrdiff_t>(sizeof(float));
    char* first;
    ptrdiff_t stride;
    if (part.rows == group_rows && !task.where.data && part.in_place(task.output, first, stride))
        return store_rows(task, column, first, stride, staging);
    if (!task.where.data && part.in_columns(task.output, first, stride)) {
        const bool whole_lines =
            task.stream && (reinterpret_cast<uintptr_t>(first) | static_cast<uintptr_t>(stride)) % 64 == 0;
        for (Index k = 0; k < part.length; k++) {
            float* at = reinterpret_cast<float*>(first + k * stride);
            whole_lines ? stream(at, column(k)) : store(at, column(k));
        }
        return;
    }
    float* out[group_rows];
    part.targets(out);
    first = reinterpret_cast<char*>(out[0]);
    if (part.rows == group_rows) {
        store_tile(column, part.length, first, reinterpret_cast<char*>(out[1]) - first);
    } else {
        char copies[most_copied];
        stride = copied_stride(part.length);
        store_tile(column, part.length, copies, stride);
        for (int r = 0; r < part.rows; r++) memcpy(out[r], copies + r * stride, packed);
    }
    part.commit(out, masked);
}

}  // namespace
