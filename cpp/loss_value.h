// The loss of one row from its state, and the few numbers that its gradient needs.
//
// With M the maximum and s the sum of the other exponentials relative to it, -log p_k = log1p(s) - (x_k - M). A row's
// loss is own (1 - p_y)^gamma (-log p_y) for its label y, and spread over the classes sum_k a_k (-log p_k), where
// smoothing or a target of probabilities gives the coefficients a. Its gradient at k is c p_k - a_k with a c of the
// row; at the label it is a sum of parts of which only 1 - p = s / (1 + s) is a difference: so a confident row keeps
// its digits there too. A target without label has its largest class in the label's place.
#pragma once

#include "row_state.h"

namespace {

inline Total quotient(Total a, Total b) {
    const double high = a.high / b.high;
    return {high, (fused(-high, b.high, a.high) + (a.low - high * b.low)) / b.high};
}

// base^exponent for 0 <= base <= 1 and exponent > 0.
inline Total power(Total base, double exponent) {
    if (!(base.high > 0x1p-1000)) return {0, 0};
    uint64_t bits;
    memcpy(&bits, &base.high, 8);
    const int64_t binary = static_cast<int64_t>(bits >> 52) - 1023;
    const double lower = exp2(-static_cast<double>(binary), 0);
    const Total log = log1p(two_sum(base.high * lower - 1, base.low * lower));
    const Total log2 =
        scaled(log, {0x1.71547652b82fep+0, 0x1.777d0ffda0d24p-56}) + Total{static_cast<double>(binary), 0};
    const Total power = scaled(log2, {exponent, 0});
    if (!(power.high > -1080)) return {0, 0};
    Total result;
    result.high = exp2(power.high, power.low, result.low);
    return result;
}

// What is wanted of a row: see above. The coefficients are factor * u_k, with the u of Targets.
struct RowTarget {
    Index label;  // or `no_label`
    Total own, factor;
    double share;  // of each class, within u
};
constexpr Index no_label = -1;

// Sums over the classes of a row.
struct Spread {
    Total sum, distance;  // of u_k, and of u_k (x_k - M)
    Total row_weight;     // of w_k by the target
};

inline Doubles some_of(const double* p, Index n) { return n < 8 ? load_partial(p, static_cast<int>(n), 0.0) : load(p); }
inline Total sum_of(const double* u, Index n) {
    WideDoubles sum;
    each<double>(u, n, 0.0, [&](Doubles v, Index) { sum.add(v, broadcast(0.0)); });
    return sum.total();
}
// A class of coefficient 0 adds nothing, for any logit.
inline Total distance_of(const double* x, Index n, double maximum, const double* u) {
    WideDoubles sum;
    const Doubles top = broadcast(maximum), zero = broadcast(0.0);
    each<double>(x, n, maximum, [&](Doubles v, Index i) __attribute__((always_inline)) {
        Doubles d = v - top;
        if (!u) return sum.add(d, zero);
        Doubles w = some_of(u + i, n - i);
        d = select(equal(w, zero), zero, d);
        Doubles product = w * d;
        sum.add(product, fms(w, d, product));
    });
    return sum.total();
}
inline Total distance_of(const float*, Index, double, const double*) { return {0, 0}; }  // spread is computed in double

// The a_k of a part of a row; none where nothing is spread.
struct Coefficient {
    bool any;
    Total factor;
    const double* u;
    double take() const { return any ? factor.high : 0; }
    Total at(Index k) const { return any ? scaled(factor, {u ? u[k] : 1, 0}) : Total{0, 0}; }
};

// The targets of a task, row by row. The u of a row are its class weights where there is a label, else the smoothed
// and weighted probabilities; 0 under a mask.
struct Targets {
    const LossTask& task;
    bool spreads;
    Total kept, weight_sum;
    double values[chunk + 16];

    explicit Targets(const LossTask& t)
        : task(t), spreads(t.smoothing != 0 || !t.label), kept(two_sum(1, -t.smoothing)),
          weight_sum{static_cast<double>(t.rows.classes), 0} {
        if (spreads && task.weight) weight_sum = sum_of(task.weight, task.rows.classes);
    }

    bool counts(Index row) const { return !task.label || task.label[row] >= 0; }
    double weight_of(Index k) const { return task.weight ? task.weight[k] : 1; }
    bool is_masked(Index row, Index k) const {
        const Operand& where = task.rows.where;
        return where.data && !where.data[row * where.outer[0] + k * where.inner[0]];
    }
    Index unmasked(Index row) const {
        if (!task.rows.where.data) return task.rows.classes;
        Index found = 0;
        for (Index k = 0; k < task.rows.classes; k++) found += !is_masked(row, k);
        return found;
    }
    RowTarget of(Index row) const {
        const double classes = task.smoothing != 0 ? static_cast<double>(unmasked(row)) : 1;
        const Total share = quotient({task.smoothing, 0}, {classes > 0 ? classes : 1, 0});
        if (!task.label) return {no_label, {0, 0}, {1, 0}, share.high};
        const Index label = task.label[row];
        return {label, scaled(kept, {weight_of(label), 0}), share, 0};
    }
    // The u of a part of a row, null where all are 1. The sum of target times weight is added to `row_weight`.
    const double* part(const RowTarget& target, Index row, Index start, Index n, Total* row_weight) {
        const bool masked = task.rows.where.data != nullptr;
        if (!spreads) return nullptr;
        if (task.label && !masked) return task.weight ? task.weight + start : nullptr;
        if (!task.label) {
            const Operand& from = task.target;
            gather_any<double>(from.dtype, from.data + row * from.outer[0] + start * from.inner[0], from.inner[0], n,
                               from.swapped, values);
        }
        for (Index i = 0; i < n; i++) {
            const bool hidden = masked && is_masked(row, start + i);
            const double weight = weight_of(start + i);
            if (task.label) {
                values[i] = hidden ? 0 : weight;
                continue;
            }
            if (row_weight) *row_weight = *row_weight + Total{values[i] * weight, 0};
            values[i] = (values[i] * kept.high + (hidden ? 0 : target.share)) * weight;
        }
        return values;
    }
    template <class T>
    void add_part(const RowTarget& target, Index row, const T* x, Index start, Index n, double maximum,
                  Spread& spread) {
        const double* u = part(target, row, start, n, task.z_loss != 0 ? &spread.row_weight : nullptr);
        if (u && !(task.label && !task.rows.where.data)) spread.sum = spread.sum + sum_of(u, n);
        spread.distance = spread.distance + distance_of(x, n, maximum, u);
    }
    Spread empty_spread(const RowTarget& target) const {
        Spread spread = {};
        if (task.label && !task.rows.where.data) spread.sum = weight_sum;
        if (task.label) spread.row_weight = {weight_of(target.label), 0};
        return spread;
    }
};

struct RowGradient {
    double per_probability;  // what every probability is multiplied by: c
    double top;              // the finished value at a maximum that is not the label, without its coefficient
    double own, penalty, p, complement;
    Total spread;

    // At the label, whose coefficient is a.
    double at_label(double scale, Total a) const {
        const Total others = spread + a * -1.0;
        return scale * ((penalty + others.high) * p - (own + a.high) * complement);
    }
};

template <class T> inline double logit_at(const Task& task, Index row, Index k) {
    T value;
    const char* p = task.input.data + row * task.input.outer[0] + k * task.input.inner[0];
    gather_any<T>(task.input.dtype, p, 0, 1, task.input.swapped, &value);
    return value;
}

template <class T>
inline double row_loss(const LossTask& task, const Scale<T>& scale, const Targets& targets, const RowTarget& target,
                       Index row, const RowState& state, const Spread& sums, RowGradient& gradient) {
    const Total others = total_of(state), log_total = {state.log_total, state.log_total_low},
                whole = Total{1, 0} + others;
    const bool has_label = target.label != no_label, masked = has_label && targets.is_masked(row, target.label);
    const double logit = !has_label ? state.maximum
                         : masked   ? -infinity<double>
                                    : logit_at<T>(task.rows, row, target.label);
    const bool is_top = logit == state.maximum;
    Total top = {0, 0}, p = {0, 0}, complement = {0, 0};
    if (task.rows.output.data || task.focal != 0) {
        top = quotient({1, 0}, whole);
        p = is_top ? top : scaled(ratio(scale, logit, state.maximum, 0), top);
        complement = is_top ? quotient(others, whole) : Total{1, 0} + p * -1.0;
    }

    Total loss = {0, 0}, own = target.own;
    if (own.high != 0) {
        const Total below = two_sum(logit, -state.maximum);
        if (!is_finite(below.high)) {
            loss.high = infinity<double>;
        } else {
            const Total negative_log = log_total + below * -1.0;
            loss = scaled(own, negative_log);
            if (task.focal != 0) {
                const Total focus = power(complement, task.focal);
                loss = scaled(loss, focus);
                // -log p / (1 - p) tends to 1 with p
                const double steepness = complement.high == 0 ? 1 : negative_log.high / complement.high;
                own = scaled(own, focus) * (1 + task.focal * p.high * steepness);
            }
        }
    }
    const Total spread = scaled(sums.sum, target.factor);
    if (targets.spreads) loss = loss + scaled(scaled(sums.sum, log_total) + sums.distance * -1.0, target.factor);
    gradient.penalty = 0;
    if (task.z_loss != 0) {
        const Total log_sum = two_sum(state.maximum, log_total.high) + Total{log_total.low, 0};
        const Total weighted = scaled(log_sum, scaled(sums.row_weight, {task.z_loss, 0}));
        loss = loss + scaled(weighted, log_sum);
        gradient.penalty = 2 * weighted.high;
    }
    gradient.own = own.high;
    gradient.spread = spread;
    gradient.p = p.high;
    gradient.complement = complement.high;
    gradient.per_probability = task.scale * ((own.high + spread.high) + gradient.penalty);
    gradient.top = gradient.per_probability * top.high;
    return loss.high == loss.high ? loss.high : infinity<double>;
}

}  // namespace
