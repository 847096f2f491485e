// Cross-entropy with labels: the loss of a row from its state, and the gradient in a second sweep over it.
//
// With M the maximum and s the sum of the other exponentials relative to it, -log p_y = log1p(s) - (x_y - M). The
// gradient is pull p_j - share w_j, and at the label a sum of parts of which only 1 - p_y = s / (1 + s) is a
// difference: so a confident row keeps its digits there too.
#pragma once

#include "softmax.h"

namespace {

// What the gradient of a row needs beside its state.
struct RowGradient {
    double pull;      // what every probability is multiplied by
    double at_label;  // the finished value at the label
    double top;       // the finished value at a maximum that is not the label
};

// The coefficients of smoothing: each class has `share` of its weight, the label `own` of its own besides.
struct Smoothing {
    double own, share, weight_sum;
    explicit Smoothing(const LossTask& task) : own(1 - task.smoothing), share(0), weight_sum(0) {
        if (task.smoothing == 0) return;
        share = task.smoothing / static_cast<double>(task.rows.classes);
        weight_sum = static_cast<double>(task.rows.classes);
        if (task.weight) {
            weight_sum = 0;
            for (long k = 0; k < task.rows.classes; k++) weight_sum += task.weight[k];
        }
    }
};

template <class T> inline double logit_at(const Task& task, long row, long k) {
    T value;
    const char* p = task.input.data + row * task.input.outer[0] + k * task.input.inner[0];
    gather_any<T>(task.input.dtype, p, 0, 1, task.input.swapped, &value);
    return value;
}

// The loss, and what its gradient needs. `distance` is the weighted sum of x - M, where there is smoothing.
template <class T> inline double row_loss(const LossTask& task, const Scale<T>& scale, const Smoothing& smoothing, long row,
                                          const State& state, double distance, RowGradient& gradient) {
    long label = task.label[row];
    double weight = task.weight ? task.weight[label] : 1, own = smoothing.own * weight;
    double others = state.total, log_total = log1p(total_of(state)).high;
    double logit = logit_at<T>(task.rows, row, label);
    Total below = two_sum(logit, -state.maximum);
    double negative_log = is_finite(below.high) ? (log_total - below.low) - below.high : infinity<double>;
    double loss = own == 0 ? 0 : own * negative_log;
    if (smoothing.share != 0) loss += smoothing.share * (smoothing.weight_sum * log_total - distance);
    double log_sum = state.maximum + log_total, penalty = 2 * task.z_loss * weight * log_sum;
    if (task.z_loss != 0) loss += task.z_loss * weight * log_sum * log_sum;

    bool is_top = logit == state.maximum;
    double top = 1 / (1 + others), p = is_top ? top : ratio(scale, logit, state.maximum, 0).high * top;
    double complement = is_top ? others * top : 1 - p;
    double rest = smoothing.share * (smoothing.weight_sum - weight);
    gradient.pull = task.scale * (own + smoothing.share * smoothing.weight_sum + penalty);
    gradient.at_label = task.scale * ((penalty + rest) * p - (own + smoothing.share * weight) * complement);
    gradient.top = gradient.pull * top;
    return loss;
}

inline Doubles some_of(const double* p, long n) {
    return n < 8 ? load_partial(p, static_cast<int>(n), 0.0) : load(p);
}

// sum of w_k (x_k - M), its products and additions in two parts. A class of weight 0 counts nothing, whatever its logit.
inline Total distance_of(const double* x, long n, double maximum, const double* weight) {
    WideDoubles sum;
    const Doubles top = broadcast(maximum), zero = broadcast(0.0);
    each<double>(x, n, maximum, [&](Doubles v, long i) __attribute__((always_inline)) {
        Doubles d = v - top;
        if (!weight) return sum.add(d, zero);
        Doubles w = some_of(weight + i, n - i);
        d = select(equal(w, zero), zero, d);
        Doubles product = w * d;
        sum.add(product, fms(w, d, product));
    });
    return sum.total();
}
inline Total distance_of(const float*, long, double, const double*) { return {0, 0}; }  // smoothing is computed in double

// value (1 + excess) * factor - share w_k.
inline void gradient_part(const LossTask& task, const Smoothing& smoothing, const Scale<double>& scale,
                          Exponential<double>& exponential, const State& state, const RowGradient& gradient,
                          const double* x, double* out, long start, long n) {
    Reference to = reference(scale, state.maximum);
    exponential.relative_to(scale, to);
    double unit = Lanes<double>::bias * ratio(scale, state.maximum, to.offset, -to.power).high * (1 + state.total);
    const Doubles factor = broadcast(gradient.pull / unit);
    const double share = smoothing.share * task.scale;
    const double* weight = task.weight ? task.weight + start : nullptr;
    const Exponential<double> local = exponential;
    map<double>(x, out, n, false, nullptr, [=](auto& v, long i) __attribute__((always_inline)) {
        constexpr int count = sizeof(v) / sizeof(v[0]);
        Doubles value[count], excess[count];
        local.template parts<false>(v, value, excess);
        for (int k = 0; k < count; k++, i += 8) {
            Doubles take = broadcast(share);
            if (share != 0 && weight) take = take * some_of(weight + i, n - i);
            v[k] = fma(value[k], factor, fms(value[k] * excess[k], factor, take));
        }
    });
}

// value (1 + excess) * (high + low), rounded once; lowered exactly unless the result is subnormal.
struct Pull {
    Floats high, low;
    Pull(double unit, double factor) {
        double quotient = factor * Lanes<float>::lift / unit;
        float part = static_cast<float>(quotient);
        high = broadcast(part);
        low = broadcast(static_cast<float>(quotient - part));
    }
    inline __attribute__((always_inline)) Floats operator()(Floats value, Floats excess) const {
        Floats lifted = fma(value, high, value * fma(excess, high, low));
        FloatsMask vanishes = less_equal(absolute(lifted), broadcast(Lanes<float>::vanishing));
        return select(vanishes, broadcast(0.0f), lifted) * broadcast(1 / Lanes<float>::lift);
    }
};

constexpr double most_pull = 0x1p60;  // above, a factor in single precision could overflow

inline void gradient_part(const LossTask& task, const Smoothing&, const Scale<float>& scale, Exponential<float>& exponential,
                          const State& state, const RowGradient& gradient, const float* x, float* out, long, long n) {
    if (!(magnitude(gradient.pull) < most_pull)) {
        const double top = 1 / (1 + state.total);
        for (long i = 0; i < n; i++)
            out[i] = static_cast<float>(gradient.pull * (ratio(scale, x[i], state.maximum, 0).high * top));
        return;
    }
    Reference to = reference(scale, static_cast<float>(state.maximum));
    exponential.relative_to(scale, to);
    double unit = Lanes<float>::bias * ratio(scale, state.maximum, to.offset, -to.power).high * (1 + state.total);
    const Pull pull(unit, gradient.pull);
    const Exponential<float> local = exponential;
    map<float>(x, out, n, task.rows.stream, nullptr, [=](auto& v, long) __attribute__((always_inline)) {
        constexpr int count = sizeof(v) / sizeof(v[0]);
        Floats value[count], excess[count];
        local.template parts<false>(v, value, excess);
        for (int k = 0; k < count; k++) v[k] = pull(value[k], excess[k]);
    });
}

// The first place that holds the value, which is one of the row's.
inline long find(const float* x, long n, float wanted) {
    const Floats target = broadcast(wanted);
    long i = 0;
    while (i + 16 <= n && !count(equal(load(x + i), target))) i += 16;
    while (i + 1 < n && x[i] != wanted) i++;
    return i;
}

template <class T> struct LossEngine {
    const LossTask& task;
    Engine<T> engine;
    Smoothing smoothing;
    explicit LossEngine(const LossTask& t) : task(t), engine(t.rows), smoothing(t) {}

    bool with_gradient() const { return task.rows.output.data != nullptr; }

    double loss_of(long row, const State& state, double distance, RowGradient& gradient) {
        if (is_finite(state.maximum)) return row_loss(task, engine.scale, smoothing, row, state, distance, gradient);
        gradient.at_label = not_a_number<double>;
        return not_a_number<double>;
    }
    void write_part(const State& state, const RowGradient& gradient, const T* x, T* out, long start, long n) {
        if (!is_finite(state.maximum)) return fill(out, n, not_a_number<T>);
        gradient_part(task, smoothing, engine.scale, engine.exponential, state, gradient, x, out, start, n);
    }

    // Rows that fit one chunk, each finished while it is in the first cache.
    void short_rows(Part<T> part) {
        part.length = task.rows.classes;
        const T* in[group_rows];
        T* out[group_rows];
        part.fetch(in);
        if (with_gradient()) part.targets(out);
        for (int r = 0; r < part.rows; r++) {
            T* to = with_gradient() ? out[r] : nullptr;
            long label = task.label[part.first_row + r];
            if (label >= 0) {
                finish_row(part.first_row + r, in[r], to, part.length);
            } else {
                task.loss[part.first_row + r] = 0;
                if (to) fill(to, part.length, static_cast<T>(0));
            }
        }
        if (with_gradient()) part.commit(out, static_cast<T>(0));
    }
    void finish_row(long row, const double* x, double* out, long n) { finish_recomputed(row, x, out, n); }
    void finish_row(long row, const float* x, float* out, long n) {
        out && n <= kept_row ? finish_kept(row, x, out, n) : finish_recomputed(row, x, out, n);
    }
    void finish_recomputed(long row, const T* x, T* out, long n) {
        RowGradient gradient;
        State state = sum_of_others(x, n, engine.scale, engine.exponential);
        double distance = smoothing.share == 0 ? 0 : distance_of(x, n, state.maximum, task.weight).high;
        task.loss[row] = loss_of(row, state, distance, gradient);
        if (!out) return;
        write_part(state, gradient, x, out, 0, n);
        out[task.label[row]] = static_cast<T>(gradient.at_label);
    }
    // The exponentials of the sum are kept for the gradient; they leave the maximum out, which is put in its place.
    void finish_kept(long row, const float* x, float* out, long n) {
        float first, second;
        two_largest(x, n, first, second);
        if (!is_finite(first) || second == first || second == -infinity<float>) return finish_recomputed(row, x, out, n);
        alignas(64) float values[kept_row + 16], excesses[kept_row + 16];
        Reference to = reference(engine.scale, second);
        engine.exponential.relative_to(engine.scale, to);
        Total total = sum_exponentials<float, true, false>(
            x, n, engine.exponential, first, [&](Floats value, Floats excess, long i) __attribute__((always_inline)) {
                store(values + i, value);
                store(excesses + i, excess);
            });
        const Total shift = ratio(engine.scale, to.offset, first, to.power);
        State state = empty_state;
        state.maximum = first;
        state = with_total(state, scaled(total * (1 / static_cast<double>(Lanes<float>::bias)), shift));
        RowGradient gradient;
        task.loss[row] = loss_of(row, state, 0, gradient);
        if (is_finite(state.maximum) && magnitude(gradient.pull) < most_pull) {
            long top = find(x, n, first);
            const Pull pull(Lanes<float>::bias * (1 + state.total), gradient.pull * shift.high);
            map<float>(values, out, n, task.rows.stream, nullptr, [=, &excesses](auto& v, long i) __attribute__((always_inline)) {
                for (auto& one : v) {
                    one = pull(one, load(excesses + i));
                    i += 16;
                }
            });
            out[top] = static_cast<float>(gradient.top);
        } else {
            write_part(state, gradient, x, out, 0, n);
        }
        out[task.label[row]] = static_cast<float>(gradient.at_label);
    }

    // Longer rows, by the same borders as the activations: their states are the same.
    void long_rows(Part<T> part) {
        State states[group_rows], segment[group_rows];
        RowGradient gradients[group_rows];
        long classes = task.rows.classes, length = segment_length(classes), segments = segment_count(classes);
        engine.reduce(part, 0, length < classes ? length : classes, states);
        for (long s = 1; s < segments; s++) {
            engine.reduce(part, s * length, (s + 1) * length < classes ? (s + 1) * length : classes, segment);
            for (int r = 0; r < part.rows; r++) merge(engine.scale, task.rows.function, states[r], segment[r]);
        }
        double distances[group_rows] = {};
        if (smoothing.share != 0) add_distances(part, states, distances);
        for (int r = 0; r < part.rows; r++) {
            long row = part.first_row + r;
            task.loss[row] = task.label[row] < 0 ? 0 : loss_of(row, states[r], distances[r], gradients[r]);
        }
        if (with_gradient()) long_gradients(part, states, gradients);
    }
    template <class Fn> void each_chunk_of(Part<T> part, Fn fn) {
        for (part.start = 0; part.start < task.rows.classes; part.start += chunk) {
            long rest = task.rows.classes - part.start;
            part.length = rest < chunk ? rest : chunk;
            const T* in[group_rows];
            part.fetch(in);
            fn(part, in);
        }
    }
    void add_distances(const Part<T>& whole, const State* states, double* distances) {
        Total sums[group_rows] = {};
        each_chunk_of(whole, [&](const Part<T>& part, const T* const* in) {
            for (int r = 0; r < part.rows; r++) {
                const double* weight = task.weight ? task.weight + part.start : nullptr;
                sums[r] = sums[r] + distance_of(in[r], part.length, states[r].maximum, weight);
            }
        });
        for (int r = 0; r < whole.rows; r++) distances[r] = sums[r].high;
    }
    void long_gradients(const Part<T>& whole, const State* states, const RowGradient* gradients) {
        each_chunk_of(whole, [&](const Part<T>& part, const T* const* in) {
            T* out[group_rows];
            part.targets(out);
            for (int r = 0; r < part.rows; r++) {
                long label = task.label[part.first_row + r];
                if (label < 0) {
                    fill(out[r], part.length, static_cast<T>(0));
                    continue;
                }
                write_part(states[r], gradients[r], in[r], out[r], part.start, part.length);
                long at = label - part.start;
                if (at >= 0 && at < part.length) out[r][at] = static_cast<T>(gradients[r].at_label);
            }
            part.commit(out, static_cast<T>(0));
        });
    }

    void group(const Part<T>& part) {
        if (task.rows.classes <= chunk) return short_rows(part);
        bool direct = Part<T>::direct(task.rows.input, task.rows.inner) &&
                      (!with_gradient() || Part<T>::direct(task.rows.output, task.rows.inner));
        if (!direct) return long_rows(part);
        // One at a time: a row is still in the second cache when its gradient is written.
        for (int r = 0; r < part.rows; r++) {
            Part<T> row = part;
            row.first_row += r;
            row.rows = 1;
            long_rows(row);
        }
    }
};

}  // namespace
