// How many rows have which probability of a class, and how many of them are of the class: what tests of a class's
// calibration are made of. Log-odds part the cells, which are as fine near 0 and near 1 as they have to be.
#pragma once

#include "decay.h"
#include "decision_kernels.h"
#include "row_tile.h"

namespace {

template <class T> struct ClassCells {
    const CellTask& task;
    const CellTask::Sums& sums;
    const Decay decay;

    // The probability of one class in sixteen rows, whose largest logits and confidences are given.
    Pair probability(const Column<T>& values, const Pair& highest, const Pair& confidence) const {
        const Pair x = widened(values);
        const Doubles one = broadcast(1.0);
        if (task.rows.probabilities) return {minimum(x.low, one), minimum(x.high, one)};
        const Doubles below[2] = {x.low - highest.low, x.high - highest.high};
        Doubles e[2];
        decay.of(below, e);
        return {minimum(e[0] * confidence.low, one), minimum(e[1] * confidence.high, one)};
    }
    // The number of the cell and the remainder of one.
    Doubles cell(Doubles p) const {
        const Doubles one = broadcast(1.0), zero = broadcast(0.0), bound = broadcast(task.most_log_odds);
        const Doubles other = one - p;
        const auto unlikely = less_equal(p, other);
        // log(p / (1 - p)) = -+log(1 + |1 - 2p| / min(p, 1 - p)): no digit is lost near 1/2; beyond 2^59 is the bound
        const Doubles rare = maximum(select(unlikely, p, other), broadcast(0x1p-59));
        const Doubles apart = select(unlikely, other - p, p - other);
        const Doubles size = minimum(log1p(apart / rare), bound);
        return (select(unlikely, zero - size, size) + bound) * broadcast(task.cells_of_log_odds);
    }
    void run(Index first, Index last) {
        for (Index row = first; row < last; row += group_rows)
            group(row, last - row < group_rows ? static_cast<int>(last - row) : group_rows);
    }
    void group(Index first, int rows) {
        const RowsOfClasses& in = task.rows;
        double tops[group_rows] = {}, confidences[group_rows] = {};
        for (int r = 0; r < rows && !in.probabilities; r++) {
            confidences[r] = task.confidence[first + r];
            const char* row = in.data + (first + r) * in.row_stride;
            tops[r] = static_cast<double>(read<T>(row + task.most_likely[first + r] * in.class_stride, false));
        }
        const Pair highest = {load(tops), load(tops + 8)}, confidence = {load(confidences), load(confidences + 8)};
        alignas(64) T tile[most_counted_classes * group_rows];
        RowsOfClasses some = in;
        some.data += task.first_class * in.class_stride;
        some.classes = task.classes;
        load_rows(some, first, rows, tile, group_rows);
        int32_t at[most_counted_classes][group_rows];
        for (Index k = 0; k < task.classes; k++) {
            double p[group_rows], place[group_rows];
            const Pair of_class = probability(Column<T>::of(tile + k * group_rows), highest, confidence);
            store(p, of_class);
            if (task.probability) memcpy(task.probability + k * in.rows + first, p, rows * sizeof(double));
            if (task.cells == 0) continue;
            store(place, Pair{cell(of_class.low), cell(of_class.high)});
            for (int r = 0; r < group_rows; r++) at[k][r] = static_cast<int32_t>(place[r]);
            CellTask::Cell* const own = sums.cell + k * task.cells;
            for (int r = 0; r < rows; r++) {
                CellTask::Cell& cell = own[at[k][r]];
                cell.rows++;
                cell.probability += p[r];
            }
        }
        for (int r = 0; r < rows && task.cells > 0; r++) {
            const int64_t k = task.label[first + r] - task.first_class;
            if (k >= 0 && k < task.classes) sums.hits[k * task.cells + at[k][r]]++;
        }
    }
};

void count_cells(const CellTask& task, Index first, Index last, const CellTask::Sums& sums) {
    task.rows.wide ? ClassCells<double>{task, sums, {}}.run(first, last)
                   : ClassCells<float>{task, sums, {}}.run(first, last);
}

}  // namespace
