// Sixteen rows turned: the lanes of a vector are rows, and one class follows the other. What is done to every row in
// the order of its classes then needs no sum or comparison across lanes, and has the same bits on every instruction
// set.
#pragma once

#include "decision_kernels.h"
#include "short_rows.h"

namespace {

// One class of sixteen rows: one vector of floats, or two of doubles.
template <class T> struct Column {
    using Vector = typename Lanes<T>::Vector;
    using Mask = typename Lanes<T>::Mask;
    static constexpr int parts = group_rows / Lanes<T>::width;
    Vector part[parts];

    static Column all(T x) {
        Column c;
        for (auto& one : c.part) one = broadcast(x);
        return c;
    }
    static Column of(const T* p) {
        Column c;
        for (int i = 0; i < parts; i++) c.part[i] = load(p + i * Lanes<T>::width);
        return c;
    }
    void to(T* p) const {
        for (int i = 0; i < parts; i++) store(p + i * Lanes<T>::width, part[i]);
    }
};

// fn(part, ...) for each part of columns of one type.
template <class T, class Fn> inline __attribute__((always_inline)) Column<T> parts_of(Fn fn) {
    Column<T> c;
    for (int i = 0; i < Column<T>::parts; i++) c.part[i] = fn(i);
    return c;
}

// The same in double, for rows of any dtype.
struct Pair {
    Doubles low, high;
    static Pair all(double x) { return {broadcast(x), broadcast(x)}; }
};
inline void store(double* p, const Pair& a) {
    store(p, a.low);
    store(p + 8, a.high);
}
inline Pair widened(const Column<float>& column) {
    Pair pair;
    widen(column.part[0], pair.low, pair.high);
    return pair;
}
inline Pair widened(const Column<double>& column) { return {column.part[0], column.part[1]}; }
inline void narrow_to(float* p, const Pair& a) { store(p, narrow(a.low, a.high)); }
inline void narrow_to(double* p, const Pair& a) { store(p, a); }
template <class T> inline Pair widened(const T* p) { return widened(Column<T>::of(p)); }

// Rows that lie row by row, `stride` bytes apart, into a tile whose classes are `step` numbers apart; and back.
inline void turn(const char* in, ptrdiff_t stride, Index classes, float* tile, Index step) {
    load_tile(in, stride, classes, tile, step);
}
inline void turn_back(const float* tile, Index step, Index classes, char* out, ptrdiff_t stride) {
    store_tile(TileColumns{tile, step}, classes, out, stride);
}
inline void turn(const char* in, ptrdiff_t stride, Index classes, double* tile, Index step) {
    for (int half = 0; half < 2; half++)
        for (Index k = 0; k < classes; k += 8) {
            const int here = classes - k < 8 ? static_cast<int>(classes - k) : 8;
            Doubles block[8];
            for (int r = 0; r < 8; r++) {
                const double* row = reinterpret_cast<const double*>(in + (half * 8 + r) * stride) + k;
                block[r] = here == 8 ? load(row) : load_partial(row, here, 0.0);
            }
            transpose(block);
            for (int c = 0; c < here; c++) store(tile + (k + c) * step + half * 8, block[c]);
        }
}
inline void turn_back(const double* tile, Index step, Index classes, char* out, ptrdiff_t stride) {
    for (int half = 0; half < 2; half++)
        for (Index k = 0; k < classes; k += 8) {
            const int here = classes - k < 8 ? static_cast<int>(classes - k) : 8;
            Doubles block[8];
            for (int c = 0; c < 8; c++) block[c] = load(tile + (k + (c < here ? c : 0)) * step + half * 8);
            transpose(block);
            for (int r = 0; r < 8; r++) {
                double* row = reinterpret_cast<double*>(out + (half * 8 + r) * stride) + k;
                here == 8 ? store(row, block[r]) : store_partial(row, block[r], here);
            }
        }
}

// Up to sixteen rows of the input into a tile; missing rows count as 0.
template <class T> inline void load_rows(const RowsOfClasses& rows, Index first, int count, T* tile, Index step) {
    const char* from = rows.data + first * rows.row_stride;
    if (count == group_rows && rows.class_stride == static_cast<ptrdiff_t>(sizeof(T)))
        return turn(from, rows.row_stride, rows.classes, tile, step);
    const bool side_by_side = count == group_rows && rows.row_stride == static_cast<ptrdiff_t>(sizeof(T));
    for (Index k = 0; k < rows.classes; k++) {
        T* column = tile + k * step;
        const char* at = from + k * rows.class_stride;
        if (side_by_side) {
            memcpy(column, at, group_rows * sizeof(T));
            continue;
        }
        for (int r = 0; r < count; r++) column[r] = read<T>(at + r * rows.row_stride, false);
        for (int r = count; r < group_rows; r++) column[r] = 0;
    }
}
// The first `count` rows of a tile to an output that lies row by row without gaps.
template <class T>
inline void store_rows_of(const T* tile, Index step, Index classes, Index first, int count, void* output) {
    T* to = static_cast<T*>(output) + first * classes;
    if (count == group_rows)
        return turn_back(tile, step, classes, reinterpret_cast<char*>(to), classes * static_cast<ptrdiff_t>(sizeof(T)));
    for (int r = 0; r < count; r++)
        for (Index k = 0; k < classes; k++) to[r * classes + k] = tile[k * step + r];
}

// The first row that holds NaN or an infinity, among the first ones; -1 if there is none.
template <class T> inline int find_not_finite(const T* tile, Index step, Index classes, int rows) {
    Column<T> sum = Column<T>::all(0);
    const auto zero = broadcast(static_cast<T>(0));
    for (Index k = 0; k < classes; k++) {
        const Column<T> x = Column<T>::of(tile + k * step);
        sum = parts_of<T>([&](int i) { return fma(x.part[i], zero, sum.part[i]); });
    }
    int sound = 0;
    for (auto& part : sum.part) sound += count(equal(part, part));
    if (sound == group_rows) return -1;
    T lanes[group_rows];
    sum.to(lanes);
    for (int r = 0; r < rows; r++)
        if (lanes[r] != lanes[r]) return r;
    return -1;
}

// Does the same for rows of probabilities, and also finds rows that leave 0 to 1 or have another sum.
template <class T> inline int find_wrong(const RowsOfClasses& all, const T* tile, Index step, int rows) {
    const int not_finite = find_not_finite(tile, step, all.classes, rows);
    if (not_finite >= 0 || !all.probabilities) return not_finite;
    Column<T> low = Column<T>::of(tile), high = low;
    Pair sum = Pair::all(0);
    for (Index k = 0; k < all.classes; k++) {
        const Column<T> x = Column<T>::of(tile + k * step);
        low = parts_of<T>([&](int i) { return minimum(low.part[i], x.part[i]); });
        high = parts_of<T>([&](int i) { return maximum(high.part[i], x.part[i]); });
        const Pair wide = widened(tile + k * step);
        sum = {sum.low + wide.low, sum.high + wide.high};
    }
    T lows[group_rows], highs[group_rows];
    double sums[group_rows];
    low.to(lows);
    high.to(highs);
    store(sums, sum);
    for (int r = 0; r < rows; r++) {
        const bool inside = lows[r] >= 0 && static_cast<double>(highs[r]) <= 1 + 1e-6;
        if (!inside || !(sums[r] - 1 <= all.sum_tolerance && 1 - sums[r] <= all.sum_tolerance)) return r;
    }
    return -1;
}

// The largest of each row and the number of the first class that has it.
template <class T> struct Top {
    Column<T> value, place;
};
template <class T> inline Top<T> find_top(const T* tile, Index step, Index classes) {
    Top<T> top = {Column<T>::of(tile), Column<T>::all(0)};
    for (Index k = 1; k < classes; k++) {
        const auto number = broadcast(static_cast<T>(k));
        for (int i = 0; i < Column<T>::parts; i++) {
            const auto x = load(tile + k * step + i * Lanes<T>::width);
            const auto higher = less(top.value.part[i], x);
            top.value.part[i] = select(higher, x, top.value.part[i]);
            top.place.part[i] = select(higher, number, top.place.part[i]);
        }
    }
    return top;
}

}  // namespace
