// How many rows have which probability of a class, and how many of them are of the class: what tests of a class's
// calibration are made of. Log-odds part the cells, which are as fine near 0 and near 1 as they have to be.
#pragma once

#include "decay.h"
#include "decision_kernels.h"
#include "row_tile.h"

namespace {

// log(u) of 2^-60 <= u, with an error below 2^-18: enough to tell most cells.
inline Doubles rough_log(Doubles u) {
    constexpr double factors[] = {0.20290010, -0.25720587, 0.33385152, -0.49982464, 0.99999068};
    Doubles fraction, exponent, sum = broadcast(-0.10062630);
    split_exponent(u * broadcast(0x1p60), fraction, exponent);
    const Doubles f = fraction - broadcast(1.0);
    for (const double factor : factors) sum = fma(f, sum, broadcast(factor));
    return fma(exponent - broadcast(60.0), broadcast(0.69314718), f * sum);
}

template <class T> struct ClassCells {
    static constexpr int rows_at_once = 8 * group_rows;  // whose cells are found before any is counted

    const CellTask& task;
    const CellTask::Sums& sums;
    const Decay decay;
    double p[most_counted_classes][rows_at_once];
    int32_t at[most_counted_classes][rows_at_once];

    // The number of the cell and the remainder of one.
    Doubles cell(Doubles chance) const {
        const Doubles one = broadcast(1.0), zero = broadcast(0.0), bound = broadcast(task.most_log_odds);
        const Doubles other = one - chance;
        const auto unlikely = less_equal(chance, other);
        // log(p / (1 - p)) = -+log(1 + |1 - 2p| / min(p, 1 - p)): no digit is lost near 1/2; beyond 2^59 is the bound
        const Doubles rare = maximum(select(unlikely, chance, other), broadcast(0x1p-59));
        const Doubles apart = select(unlikely, other - chance, chance - other);
        const Doubles size = minimum(log1p(apart / rare), bound);
        return (select(unlikely, zero - size, size) + bound) * broadcast(task.cells_of_log_odds);
    }
    // The same cell, from the logarithm of the chance too.
    Doubles quick_cell(Doubles chance, Doubles log_chance) const {
        const Doubles zero = broadcast(0.0), scale = broadcast(task.cells_of_log_odds), whole = broadcast(0x1.8p52),
                      middle = broadcast(task.most_log_odds * task.cells_of_log_odds),
                      roughness = broadcast(task.cells_of_log_odds * 0x1p-16);
        const Doubles log_other = rough_log(maximum(broadcast(1.0) - chance, broadcast(0x1p-59)));
        const Doubles place = fma(log_chance - log_other, scale, middle);
        const Doubles off = absolute(place - ((place + whole) - whole));
        // too near to the end of a cell, but not beyond the first and the last one
        const auto is_inside = less(absolute(place - middle), middle + roughness);
        if (__builtin_expect(count(less(select(is_inside, off, roughness), roughness)) > 0, 0)) return cell(chance);
        return minimum(maximum(place, zero), middle + middle);
    }
    void run(Index first, Index last) {
        for (Index row = first; row < last; row += rows_at_once)
            block(row, last - row < rows_at_once ? static_cast<int>(last - row) : rows_at_once);
    }
    void block(Index first, int rows) {
        for (int r = 0; r < rows; r += group_rows) group(first + r, rows - r < group_rows ? rows - r : group_rows, r);
        if (task.cells == 0) return;
        for (Index k = 0; k < task.classes; k++) {
            CellTask::Cell* const own = sums.cell + k * task.cells;
            for (int r = 0; r < rows; r++) {
                CellTask::Cell& to = own[at[k][r]];
                to = {to.rows + 1.0, to.probability + p[k][r]};
            }
        }
        for (int r = 0; r < rows; r++) {
            const int64_t k = task.label[first + r] - task.first_class;
            if (k >= 0 && k < task.classes) sums.hits[k * task.cells + at[k][r]]++;
        }
    }
    void group(Index first, int rows, int place) {
        const RowsOfClasses& in = task.rows;
        double tops[group_rows] = {}, confidences[group_rows];
        for (double& one : confidences) one = 1;
        for (int r = 0; r < rows && !in.probabilities; r++) {
            confidences[r] = task.confidence[first + r];
            const char* row = in.data + (first + r) * in.row_stride;
            tops[r] = static_cast<double>(read<T>(row + task.most_likely[first + r] * in.class_stride, false));
        }
        alignas(64) T tile[most_counted_classes * group_rows];
        RowsOfClasses some = in;
        some.data += task.first_class * in.class_stride;
        some.classes = task.classes;
        load_rows(some, first, rows, tile, group_rows);
        const Pair highest = {load(tops), load(tops + 8)}, confidence = {load(confidences), load(confidences + 8)};
        const Pair log_confidence = {rough_log(confidence.low), rough_log(confidence.high)};
        const Doubles one = broadcast(1.0), least = broadcast(0x1p-59);
        for (Index k = 0; k < task.classes; k++) {
            const Pair x = widened(tile + k * group_rows);
            Pair chance, log_chance;
            if (in.probabilities) {
                chance = {minimum(x.low, one), minimum(x.high, one)};
                log_chance = {rough_log(maximum(chance.low, least)), rough_log(maximum(chance.high, least))};
            } else {
                const Doubles below[2] = {x.low - highest.low, x.high - highest.high};
                Doubles e[2];
                decay.of(below, e);
                chance = {minimum(e[0] * confidence.low, one), minimum(e[1] * confidence.high, one)};
                log_chance = {below[0] + log_confidence.low, below[1] + log_confidence.high};
            }
            store(p[k] + place, chance);
            if (task.probability) memcpy(task.probability + k * in.rows + first, p[k] + place, rows * sizeof(double));
            if (task.cells == 0) continue;
            double number[group_rows];
            store(number, Pair{quick_cell(chance.low, log_chance.low), quick_cell(chance.high, log_chance.high)});
            for (int r = 0; r < group_rows; r++) at[k][place + r] = static_cast<int32_t>(number[r]);
        }
    }
};

void count_cells(const CellTask& task, Index first, Index last, const CellTask::Sums& sums) {
    task.rows.wide ? ClassCells<double>{task, sums, {}, {}, {}}.run(first, last)
                   : ClassCells<float>{task, sums, {}, {}, {}}.run(first, last);
}

}  // namespace
