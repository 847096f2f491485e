// Losses of rows of up to 512 classes with labels, sixteen of them in the lanes of one vector. The arithmetic is that
// of row_loss, in double precision without second parts: the bound is that of float.
#pragma once

#include "gradient_entries.h"
#include "short_rows.h"

namespace {

struct ShortLossRows {
    alignas(64) float tile[short_loss * 16], values[short_loss * 16], excesses[short_loss * 16];
    Index label[16];  // negative: not counted
    double weight[16];
    float logit[16], value[16], excess[16];
    LaneLargest largest;
    ShortTotals totals;
};

// Eight of the rows: what their losses are and what their gradients need.
struct ShortHalf {
    Doubles loss, per_probability, quotient, top, at_label;

    ShortHalf(const LossTask& task, const ShortTotals& totals, int half, Doubles maximum, Doubles logit, Doubles value,
              Doubles excess, Doubles weight) {
        const Doubles zero = broadcast(0.0), one = broadcast(1.0), scale = broadcast(task.scale);
        const Doubles others = totals.others[half], shift = totals.shift[half];
        const Doubles log_total = log1p(others), share = one / (one + others);
        const Doubles penalty = broadcast(task.z_loss) * weight, log_sum = maximum + log_total;
        const DoublesMask is_top = equal(logit, maximum);
        const Doubles p = select(is_top, share, fma(value, excess, value) * (shift * share));
        const Doubles complement = select(is_top, others * share, one - p);
        loss = select(equal(weight, zero), zero, weight * (log_total - (logit - maximum)));
        at_label = weight * complement * (zero - scale);
        per_probability = scale * weight;
        if (task.z_loss != 0) {
            const Doubles slope = (penalty + penalty) * log_sum;
            loss = fma(penalty * log_sum, log_sum, loss);
            at_label = fma(scale * slope, p, at_label);
            per_probability = fma(scale, slope, per_probability);
        }
        top = per_probability * share;
        quotient = top * shift * broadcast(static_cast<double>(Lanes<float>::lift));
    }
};

inline void load_short_rows(const LossTask& task, const Part<float>& part, ShortLossRows& rows) {
    rows.largest = load_short<LaneLargest>(part, rows.tile, 16);
    for (int r = 0; r < 16; r++) {
        rows.label[r] = r < part.rows ? static_cast<Index>(task.label[part.first_row + r]) : -1;
        const Index at = rows.label[r] < 0 ? 0 : rows.label[r];
        rows.weight[r] = task.weight ? task.weight[at] : 1;
        rows.logit[r] = rows.tile[at * 16 + r];
    }
}
inline void gather_labels(ShortLossRows& rows) {
    for (int r = 0; r < 16; r++) {
        const Index at = (rows.label[r] < 0 ? 0 : rows.label[r]) * 16 + r;
        rows.value[r] = rows.values[at];
        rows.excess[r] = rows.excesses[at];
    }
}
inline void fill_column(float* tile, Index classes, int r, float value) {
    for (Index k = 0; k < classes; k++) tile[k * 16 + r] = value;
}

template <class LossEngine> inline void short_losses(LossEngine& loss, const Part<float>& part) {
    const LossTask& task = loss.task;
    const bool with_gradient = loss.with_gradient();
    const Index classes = part.length;
    ShortLossRows rows;
    load_short_rows(task, part, rows);
    const auto keep = [&](Floats value, Floats excess, Index k) __attribute__((always_inline)) {
        store(rows.values + k * 16, value);
        store(rows.excesses + k * 16, excess);
    };
    rows.totals =
        with_gradient
            ? short_totals(loss.engine.scale, loss.engine.exponential, rows.tile, classes, rows.largest, keep)
            : short_totals(loss.engine.scale, loss.engine.exponential, rows.tile, classes, rows.largest, Nothing());
    if (with_gradient) gather_labels(rows);
    Doubles maximum[2], logit[2], value[2], excess[2];
    widen(rows.totals.top, maximum[0], maximum[1]);
    widen(load(rows.logit), logit[0], logit[1]);
    widen(load(with_gradient ? rows.value : rows.logit), value[0], value[1]);
    widen(load(with_gradient ? rows.excess : rows.logit), excess[0], excess[1]);
    const ShortHalf first(task, rows.totals, 0, maximum[0], logit[0], value[0], excess[0], load(rows.weight));
    const ShortHalf second(task, rows.totals, 1, maximum[1], logit[1], value[1], excess[1], load(rows.weight + 8));

    if (with_gradient) {
        const GradientEntry<float, false> entry(first.quotient, second.quotient);
        const Floats top = narrow(first.top, second.top);
        for (Index k = 0; k < classes; k++) {
            const Floats x = load(rows.tile + k * 16), v = load(rows.values + k * 16), e = load(rows.excesses + k * 16);
            store(rows.tile + k * 16, select(equal(x, rows.totals.top), top, entry(v, e)));
        }
    }
    double losses[16], factors[16], totals[16], tops[16];
    float at_label[16];
    store(losses, first.loss);
    store(losses + 8, second.loss);
    store(factors, first.per_probability);
    store(factors + 8, second.per_probability);
    store(totals, rows.totals.others[0]);
    store(totals + 8, rows.totals.others[1]);
    store(tops, maximum[0]);
    store(tops + 8, maximum[1]);
    store(at_label, narrow(first.at_label, second.at_label));
    for (int r = 0; r < part.rows; r++) {
        const Index row = part.first_row + r;
        if (rows.label[r] < 0) {
            task.loss[row] = 0;
            if (with_gradient) fill_column(rows.tile, classes, r, 0);
        } else if (!is_finite(tops[r]) || !is_finite(totals[r]) || !(magnitude(factors[r]) < most_factor)) {
            const float* in[group_rows];
            float gradient[short_loss];
            part.fetch(in);
            if (with_gradient) {
                loss.gradient_of_row(row, two_largest<float>(in[r], classes), in[r], gradient, classes, 0);
                for (Index k = 0; k < classes; k++) rows.tile[k * 16 + r] = gradient[k];
            } else {
                loss.loss_of_row(row, two_largest<float>(in[r], classes), in[r], classes);
            }
        } else {
            task.loss[row] = losses[r];
            if (with_gradient) rows.tile[rows.label[r] * 16 + r] = at_label[r];
        }
    }
    if (with_gradient) store_short(task.rows, part, TileColumns{rows.tile, 16}, 0, loss.engine.staging);
}

}  // namespace
