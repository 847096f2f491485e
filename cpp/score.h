// What metrics are made of, row by row: the most likely class, its probability, that of all others, the log loss and
// the Brier score; all in double, from the logits as they are.
#pragma once

#include "decay.h"
#include "row_tile.h"

namespace {

// -log(p) of 0 < p, also where p is subnormal, and of p above 1 by a rounding.
inline Doubles minus_log(Doubles p) {
    const auto tiny = less(p, broadcast(0x1p-900));
    p = select(tiny, p * broadcast(0x1p200), p);
    const Doubles result = log1p((broadcast(1.0) - p) / p);
    return result + select(tiny, broadcast(0x1.1542457337d43p+7), broadcast(0.0));
}

// Sums over the classes of exponentials relative to the largest, or of probabilities.
struct RowSums {
    Pair others, wrong, squares;  // of all but the first of the largest; of all but the label; of the squares of those
};
inline RowSums operator+(const RowSums& a, const RowSums& b) {
    const auto add = [](const Pair& x, const Pair& y) { return Pair{x.low + y.low, x.high + y.high}; };
    return {add(a.others, b.others), add(a.wrong, b.wrong), add(a.squares, b.squares)};
}

// The scores of sixteen rows; fields that were not asked for are undefined.
struct RowFigures {
    double confidence[group_rows], doubt[group_rows], loss[group_rows], square[group_rows];
};

template <class T> struct Score {
    static constexpr Index block = 16;  // classes that are added up by themselves

    const ScoreTask& task;
    const Index classes;
    T* tile;
    const Decay decay;

    Score(const ScoreTask& t, void* scratch) : task(t), classes(t.rows.classes), tile(static_cast<T*>(scratch)) {}

    // The first row that breaks a rule, or -1.
    Index run(Index first, Index last) {
        Index bad = -1;
        for (Index row = first; row < last; row += group_rows) {
            const int here = last - row < group_rows ? static_cast<int>(last - row) : group_rows;
            load_rows(task.rows, row, here, tile, group_rows);
            const int wrong = bad < 0 ? find_wrong(task.rows, tile, group_rows, here) : -1;
            if (wrong >= 0) bad = row + wrong;
            group(row, here);
        }
        return bad;
    }

    void group(Index first, int rows) {
        const bool needs_sums = task.confidence || task.doubt || task.loss || task.square;
        if (!task.most_likely && !task.correct && !needs_sums) return;
        const Top<T> top = find_top(tile, group_rows, classes);
        double place[group_rows], label[group_rows] = {}, at_label[group_rows] = {};
        store(place, widened(top.place));
        for (int r = 0; r < rows && task.label; r++) {
            label[r] = static_cast<double>(task.label[first + r]);
            at_label[r] = static_cast<double>(tile[task.label[first + r] * group_rows + r]);
        }
        for (int r = 0; r < rows; r++) {
            if (task.most_likely) task.most_likely[first + r] = static_cast<int64_t>(place[r]);
            if (task.correct) task.correct[first + r] = place[r] == label[r];
        }
        if (!needs_sums) return;
        RowFigures figures;
        const Pair labels = {load(label), load(label + 8)}, at_labels = {load(at_label), load(at_label + 8)};
        const Pair highest = widened(top.value), places = widened(top.place);
        if (task.rows.probabilities) of_probabilities(highest, places, labels, at_labels, figures);
        else of_logits(highest, places, labels, at_labels, figures);
        for (int r = 0; r < rows; r++)
            if (task.rows.probabilities && at_label[r] == 0) figures.loss[r] = infinity<double>;
        const auto put = [&](double* to, const double* from) {
            if (to) memcpy(to + first, from, rows * sizeof(double));
        };
        put(task.confidence, figures.confidence);
        put(task.doubt, figures.doubt);
        put(task.loss, figures.loss);
        put(task.square, figures.square);
    }

    void of_logits(const Pair& highest, const Pair& places, const Pair& labels, const Pair& at_labels,
                   RowFigures& figures) const {
        const RowSums sums = task.square ? sum<true>(highest, places, labels) : sum<false>(highest, places, labels);
        const Doubles one = broadcast(1.0);
        const auto finish = [&](int at, Doubles top, Doubles at_label, Doubles others, Doubles wrong, Doubles squares) {
            const Doubles total = one + others;
            store(figures.confidence + at, one / total);
            store(figures.doubt + at, others / total);
            if (task.loss) store(figures.loss + at, (top - at_label) + log1p(others));
            store(figures.square + at, fma(wrong, wrong, squares) / (total * total));
        };
        finish(0, highest.low, at_labels.low, sums.others.low, sums.wrong.low, sums.squares.low);
        finish(8, highest.high, at_labels.high, sums.others.high, sums.wrong.high, sums.squares.high);
    }
    template <bool squared> RowSums sum(const Pair& highest, const Pair& places, const Pair& labels) const {
        const RowSums nothing = {Pair::all(0), Pair::all(0), Pair::all(0)};
        RowSums whole = nothing;
        for (Index from = 0; from < classes; from += block) {
            const Index to = from + block < classes ? from + block : classes;
            RowSums part = nothing;
            for (Index k = from; k < to; k++) {
                const Pair x = widened(tile + k * group_rows);
                const Doubles below[2] = {x.low - highest.low, x.high - highest.high};
                Doubles e[2];
                decay.of(below, e);
                add<squared>(part, e, k, places, labels);
            }
            whole = whole + part;
        }
        return whole;
    }
    template <bool squared>
    static inline __attribute__((always_inline)) void add(RowSums& sums, const Doubles (&e)[2], Index k,
                                                          const Pair& places, const Pair& labels) {
        const Doubles number = broadcast(static_cast<double>(k)), zero = broadcast(0.0);
        sums.others.low = sums.others.low + select(equal(places.low, number), zero, e[0]);
        sums.others.high = sums.others.high + select(equal(places.high, number), zero, e[1]);
        if (!squared) return;
        const Doubles low = select(equal(labels.low, number), zero, e[0]),
                      high = select(equal(labels.high, number), zero, e[1]);
        sums.wrong = {sums.wrong.low + low, sums.wrong.high + high};
        sums.squares = {fma(low, low, sums.squares.low), fma(high, high, sums.squares.high)};
    }

    void of_probabilities(const Pair& highest, const Pair& places, const Pair& labels, const Pair& at_labels,
                          RowFigures& figures) const {
        const Doubles one = broadcast(1.0);
        RowSums sums = {Pair::all(0), Pair::all(0), Pair::all(0)};
        for (Index k = 0; k < classes && (task.square || task.doubt); k++) {
            const Pair x = widened(tile + k * group_rows);
            const Doubles p[2] = {x.low, x.high};
            add<true>(sums, p, k, places, labels);
        }
        const auto finish = [&](int at, Doubles top, Doubles at_label, Doubles others, Doubles squares) {
            store(figures.confidence + at, minimum(top, one));
            store(figures.doubt + at, others / (top + others));
            if (task.loss) store(figures.loss + at, minus_log(at_label));
            store(figures.square + at, fma(one - at_label, one - at_label, squares));
        };
        finish(0, highest.low, at_labels.low, sums.others.low, sums.squares.low);
        finish(8, highest.high, at_labels.high, sums.others.high, sums.squares.high);
    }
};

Index score(const ScoreTask& task, Index first, Index last, void* scratch) {
    return task.rows.wide ? Score<double>(task, scratch).run(first, last)
                          : Score<float>(task, scratch).run(first, last);
}

}  // namespace
