// What a pass over rows of logits is asked for: decisions, or the figures that metrics are made of. Plain data.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels.h"

namespace softmaxlib {

// The rows as they lie in memory: float or, where `wide`, double, of the machine's byte order.
struct RowsOfClasses {
    const char* data;
    bool wide;
    Index rows, classes;
    ptrdiff_t row_stride, class_stride;  // bytes
    bool probabilities;                  // instead of logits
    double sum_tolerance;                // of them: how far the sum of a row may be from 1
};

// How an action is chosen from probabilities.
enum class Criterion : int {
    most_likely,
    confidence,    // the most likely class, where its probability reaches threshold[0]
    thresholds,    // the class of the largest probability by its threshold, where it reaches that
    cost,          // the least expected cost
    score_sets,    // the set of the classes whose 1 - p is at most the threshold; its class where it has one
    ordered_sets,  // the same of the probability of all more likely classes, with the class's own where `own_counts`
};

struct JudgeTask {
    RowsOfClasses rows;
    void (*softmax)(const Task&, Index first, Index last, void* scratch);  // of the same instruction set

    // The calibration: x / temperature (0: leaves x as it is); with a scale, z = log((1 - floor) softmax(x /
    // temperature)
    // + floor / classes) goes to scale * z + intercept, and with a matrix to matrix z + intercept.
    double temperature, floor;
    const double *scale, *matrix, *intercept;

    Criterion criterion;
    const double* threshold;  // one a class (confidence: one in all)
    const double* cost;       // (classes, actions)
    Index actions;
    double tie;           // costs that differ by less are equal
    double abstain_cost;  // NaN: a row is never set aside
    bool own_counts, allow_empty;
    double penalty;  // of ordered_sets: for each rank beyond penalty_rank
    Index penalty_rank;

    // Any but action, confidence and abstained may be null. Logits and probabilities are of the type of the rows.
    void *calibrated, *chances;
    int64_t* action;
    double *confidence, *expected_cost;
    bool *abstained, *sets;
    int32_t* most_likely;   // class
    int64_t* cheapest;      // of cost: the action of least expected cost, of a row that is set aside too
    double* cheapest_cost;  // and that cost; null where the other is
};

struct ScoreTask {
    RowsOfClasses rows;
    const int64_t* label;  // in [0, classes); null if loss, square and correct are not asked for
    int64_t* most_likely;
    bool* correct;
    double *confidence, *doubt;  // the probability of the most likely class, and of all others
    double *loss, *square;       // the log loss and the Brier score; any may be null
};

// So many classes are counted at once: their cells stay in the cache.
constexpr Index most_counted_classes = 16;

// Rows of about the same probability of a class, counted together: cell c of a class holds those whose log-odds,
// bounded by `most_log_odds`, lie within [c, c + 1) / cells_of_log_odds - most_log_odds.
struct CellTask {
    RowsOfClasses rows;
    const int64_t *label, *most_likely;
    const double* confidence;    // as score gives it; of probabilities, it and most_likely are not read
    Index first_class, classes;  // those that are counted, at most most_counted_classes
    double cells_of_log_odds, most_log_odds;
    Index cells;          // of each class; 0 where no row is counted
    double* probability;  // (classes, rows), of each class in each row; or null

    struct Cell {  // its rows and the sum of their probabilities lie together: both change at once
        double rows;
        double probability;
    };
    struct Sums {
        Cell* cell;  // (classes, cells)
        int64_t* hits;
    };
};

struct DecisionTable {
    // The rows [first, last); the first of them that breaks a rule, or -1.
    Index (*judge)(const JudgeTask&, Index first, Index last, void* scratch);
    Index (*score)(const ScoreTask&, Index first, Index last, void* scratch);
    // Adds the rows [first, last) to the sums.
    void (*count_cells)(const CellTask&, Index first, Index last, const CellTask::Sums& sums);
};

// What a thread works in: grows with the classes and actions, never with the rows.
static inline size_t score_scratch_bytes(Index classes) {
    return static_cast<size_t>(classes) * group_rows * sizeof(double);
}
static inline size_t judge_scratch_bytes(Index classes, Index actions) {
    return static_cast<size_t>(classes * (32 + 16 + 16 + 16 + 1) + actions * 16 + 64) * sizeof(double);
}

}  // namespace softmaxlib
