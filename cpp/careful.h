// logsumexp where maximum and logarithm nearly cancel: the sum of exponentials is near one, and what is wanted
// is its distance from one. First with exponentials to 2^-57 (double in two parts), then to 2^-100.
// (Included by softmax.h, inside its namespace.)

inline Total operator*(Total a, Total b) {
    double high = a.high * b.high;
    double low = fused(a.high, b.high, -high) + (a.high * b.low + a.low * b.high);
    return two_sum(high, low);
}

// exp(x) - 1 for |x| < 0.0007 by its series, then exp(x) = (1 + that)^512, for |x| < 700.
inline Total exp_pair(double x) {
    const double whole = (x * 0x1.71547652b82fep+0 + 0x1.8p52) - 0x1.8p52;
    double product = whole * 0x1.62e42fefa39efp-1;
    Total r = two_sum(x, -product);
    r = r + Total{-fused(whole, 0x1.62e42fefa39efp-1, -product), 0} + Total{-whole * 0x1.abc9e3b39803fp-56, 0} +
        Total{-fused(whole, 0x1.abc9e3b39803fp-56, -(whole * 0x1.abc9e3b39803fp-56)) - whole * 0x1.7b57a079a1934p-111, 0};
    r = r * 0x1p-9;
    // Horner over 1/k!, as pairs: 1/2, 1/6, ... 1/9!.
    static constexpr Total factor[8] = {
        {0x1p-1, 0}, {0x1.5555555555555p-3, 0x1.5555555555555p-57}, {0x1.5555555555555p-5, 0x1.5555555555555p-59},
        {0x1.1111111111111p-7, 0x1.1111111111111p-63}, {0x1.6c16c16c16c17p-10, -0x1.f49f49f49f49fp-65},
        {0x1.a01a01a01a01ap-13, 0x1.a01a01a01a01ap-73}, {0x1.a01a01a01a01ap-16, 0x1.a01a01a01a01ap-76},
        {0x1.71de3a556c734p-19, -0x1.c154f8ddc6c00p-73}};
    Total sum = factor[7];
    for (int k = 6; k >= 0; k--) sum = sum * r + factor[k];
    Total minus_one = sum * r * r + r;
    for (int i = 0; i < 9; i++) minus_one = minus_one * minus_one + minus_one * 2.0;
    Total result = minus_one + Total{1, 0};
    double power = exp2(whole, 0);
    return result * power;
}

template <class Fn> inline void each_chunk(const Task& task, long row, Fn fn) {
    double buffer[chunk];
    Part<double> part = {task, row, 0, 0, 1, buffer};
    for (; part.start < task.classes; part.start += chunk) {
        part.length = task.classes - part.start < chunk ? task.classes - part.start : chunk;
        const double* in[group_rows];
        long valid[group_rows];
        part.fetch(in, valid);
        fn(in[0], part.length);
    }
}

// sum of exp(x) - 1 over the row, where that is small.
inline Total sum_minus_one(const Task& task, long row, bool paired) {
    Scale<double> scale(1);
    Exponential<double> exponential(scale);
    exponential.relative_to(scale, {0, 0});
    Total total = {-1, 0};
    each_chunk(task, row, [&](const double* x, long n) {
        if (paired) {
            for (long i = 0; i < n; i++)
                if (x[i] > -700) total = total + exp_pair(x[i]);
        } else {
            total = total + sum_exponentials<double, false, false>(x, n, exponential, 0) * (1 / Lanes<double>::bias);
        }
    });
    return total;
}

inline double magnitude(double x) { return x < 0 ? -x : x; }

// The smallest |sum - 1| whose logarithm the cheaper sum still gives within the bound.
template <class T> constexpr double resolved = sizeof(T) == 4 ? 0x1p-28 : 0x1p-3;
// Where |maximum + log| is at least so large a part of the logarithm, their plain sum is within the bound.
template <class T> constexpr double cancelled = sizeof(T) == 4 ? 0.25 : 2;

template <class T, class P> inline T log_sum_of(const Task& task, const P& part, int r, const State& state, double log_total) {
    if (!is_finite(state.maximum)) return static_cast<T>(state.maximum);
    double sum = state.maximum + log_total;
    if (magnitude(sum) >= cancelled<T> * log_total || magnitude(sum) > 30) return static_cast<T>(sum);
    Total difference = sum_minus_one(task, part.first_row + r, false);
    if (magnitude(difference.high) < resolved<T>) difference = sum_minus_one(task, part.first_row + r, true);
    if (difference.high >= 0) return static_cast<T>(log1p(difference));
    double below = -difference.high, whole = 1 + difference.high;
    return static_cast<T>(-log1p((below - difference.low) / whole));
}
template <class T, class P> inline T log_sum(const Task& task, const P& part, int r, const State& state) {
    return log_sum_of<T>(task, part, r, state, is_finite(state.maximum) ? log1p(total_of(state)) : 0);
}
