// sparsemax and entmax of order 1.5: p = max(z - tau, 0) and max(z - tau, 0)^2, with tau such that p sums to 1.
//
// z is x less the row's maximum, halved for order 1.5, so that tau lies in [-1, 0) and only z >= -1 matters. Those
// few are collected once; tau is then found on them without sorting: on the support of the answer it has a closed
// form, and until that support is reached a step of Newton on a convex function comes nearer from below (for
// sparsemax, Michelot's algorithm; Condat, "Fast projection onto the simplex", 2016). The steps
// add up plainly; one correction at the end, from sums in two parts, removes what they rounded.
#pragma once

#include "row_state.h"

namespace {

inline double root(double x) { return __builtin_sqrt(x); }
inline Doubles root(Doubles x) {
    double lanes[8];
    store(lanes, x);
    for (int i = 0; i < 8; i++) lanes[i] = __builtin_sqrt(lanes[i]);
    return load(lanes);
}

// Over d = z - tau > 0: the sums of d and of d^2 (in two parts), how many, the smallest. V is one row's number, or
// eight rows' in lanes.
template <class V> struct Sums {
    V first, first_low, second, second_low, count, least;
};

// How tau moves. exact() is the whole way if the support stays as it is; NaN where the support is still too large.
struct Linear {
    static constexpr double unit = 1;
    template <class V> static V exact(const Sums<V>& s, V one) { return ((s.first - one) + s.first_low) / s.count; }
    template <class V> static V nearer(const Sums<V>& s, V one) { return exact(s, one); }
};
struct Square {
    static constexpr double unit = 0.5;
    // The smaller root of sum (d - step)^2 = 1.
    template <class V> static V exact(const Sums<V>& s, V one) {
        V excess = (s.second - one) + s.second_low;
        return excess / (s.first + root(s.first * s.first - s.count * excess));
    }
    template <class V> static V nearer(const Sums<V>& s, V one) {
        V norm = root(s.second);
        return (norm - one) * norm / s.first;
    }
};

struct LaneSums {
    const Doubles zero = broadcast(0.0), one = broadcast(1.0), endless = broadcast(infinity<double>);
    WideDoubles first, second;
    Doubles count = zero, least = endless;

    template <bool in_two_parts> inline __attribute__((always_inline)) void add(Doubles d) {
        DoublesMask above = less(zero, d);
        d = select(above, d, zero);
        Doubles square = d * d;
        if (in_two_parts) {
            first.add(d, zero);
            second.add(square, fms(d, d, square));
        } else {
            first.sum = first.sum + d;
            second.sum = second.sum + square;
        }
        least = minimum(least, select(above, d, endless));
        count = count + select(above, one, zero);
    }
    Sums<Doubles> apart() const { return {first.sum, first.rest, second.sum, second.rest, count, least}; }
    Sums<double> joined() const {
        double counts[8], leasts[8];
        store(counts, count);
        store(leasts, least);
        for (int i = 1; i < 8; i++) {
            counts[0] += counts[i];
            leasts[0] = leasts[i] < leasts[0] ? leasts[i] : leasts[0];
        }
        Total a = first.total(), b = second.total();
        return {a.high, a.low, b.high, b.low, counts[0], leasts[0]};
    }
};

inline Sums<double> merged(const Sums<double>& a, const Sums<double>& b) {
    Total first = Total{a.first, a.first_low} + Total{b.first, b.first_low};
    Total second = Total{a.second, a.second_low} + Total{b.second, b.second_low};
    return {first.high, first.low, second.high, second.low, a.count + b.count, a.least < b.least ? a.least : b.least};
}

// z is (x - top) * unit.
template <bool in_two_parts>
inline Sums<double> sums_above(const double* x, Index n, double top, double unit, double tau) {
    const Doubles tops = broadcast(top), units = broadcast(unit), taus = broadcast(tau);
    LaneSums sums;
    each<double>(x, n, -infinity<double>, [&](Doubles v, Index) __attribute__((always_inline)) {
        sums.add<in_two_parts>((v - tops) * units - taus);
    });
    return sums.joined();
}

// sums(tau, in_two_parts) is taken over the row.
template <class Curve, class SumsAt> inline double solve(SumsAt sums) {
    double tau = -1;
    for (bool settled = false; !settled;) {
        Sums<double> s = sums(tau, false);
        double step = Curve::exact(s, 1.0), before = tau;
        settled = step <= s.least;
        tau += settled ? step : Curve::nearer(s, 1.0);
        settled = settled || tau == before;
    }
    double correction = Curve::exact(sums(tau, true), 1.0);
    return correction == correction ? tau + correction : tau;
}

template <class Curve> inline Doubles density(Doubles x, double top, double tau) {
    Doubles d = (x - broadcast(top)) * broadcast(Curve::unit) - broadcast(tau);
    d = maximum(d, broadcast(0.0));
    return Curve::unit == 1 ? d : d * d;
}
template <class Curve> inline Floats density(Floats x, double top, double tau) {
    Doubles low, high;
    widen(x, low, high);
    return narrow(density<Curve>(low, top, tau), density<Curve>(high, top, tau));
}

// Up to eight rows of up to 64 classes in the lanes of one vector, class by class.
template <class Curve> struct ShortRows {
    alignas(64) double z[paired_row * 8];
    Index classes;
    Doubles number;  // 0, and NaN where the row has no answer
    const Doubles one = broadcast(1.0);

    template <class T> ShortRows(const T* const* in, int rows, Index n) : classes(n), number(broadcast(0.0)) {
        for (int r = 0; r < 8; r++)
            for (Index k = 0; k < n; k++) z[k * 8 + r] = r < rows ? static_cast<double>(first_of(in[r] + k)) : 0;
        Doubles top = load(z);
        for (Index k = 1; k < n; k++) top = maximum(top, load(z + k * 8));
        for (Index k = 0; k < n; k++) {
            Doubles d = load(z + k * 8) - top;
            number = select(equal(d, d), number, broadcast(not_a_number<double>));
            store(z + k * 8, d * broadcast(Curve::unit));
        }
    }
    template <bool in_two_parts> Sums<Doubles> sums(Doubles tau) const {
        LaneSums sums;
        for (Index k = 0; k < classes; k++) sums.add<in_two_parts>(load(z + k * 8) - tau);
        return sums.apart();
    }
    Doubles threshold() const {
        Doubles tau = broadcast(-1.0), done = select(equal(number, number), broadcast(0.0), one);
        while (count(equal(done, one)) < 8) {
            Sums<Doubles> s = sums<false>(tau);
            Doubles step = Curve::exact(s, one);
            DoublesMask settled = less_equal(step, s.least);
            Doubles next = tau + select(settled, step, Curve::nearer(s, one));
            next = select(equal(done, one), tau, next);
            done = select(settled, one, select(equal(next, tau), one, done));
            tau = next;
        }
        Doubles correction = Curve::exact(sums<true>(tau), one);
        return select(equal(correction, correction), tau + correction, tau);
    }
    template <class T> void write(T* const* out, int rows) {
        Doubles tau = threshold();
        for (Index k = 0; k < classes; k++) {
            Doubles d = maximum(load(z + k * 8) - tau, broadcast(0.0));
            store(z + k * 8, (Curve::unit == 1 ? d : d * d) + number);
        }
        for (int r = 0; r < rows; r++)
            for (Index k = 0; k < classes; k++) {  // a result may lie at any byte
                const T value = static_cast<T>(z[k * 8 + r]);
                memcpy(out[r] + k, &value, sizeof value);
            }
    }
};

// A NaN may be passed over here: the candidates meet it again.
template <class T> inline T largest(const T* x, Index n) {
    using Vector = typename Lanes<T>::Vector;
    constexpr int width = Lanes<T>::width;
    Vector a = broadcast(-infinity<T>), b = a;
    Index i = 0;
    for (; i + 2 * width <= n; i += 2 * width) {
        a = maximum(a, load(x + i));
        b = maximum(b, load(x + i + width));
    }
    each<T>(x + i, n - i, -infinity<T>, [&](Vector v, Index) __attribute__((always_inline)) { a = maximum(a, v); });
    return largest_lane(maximum(a, b));
}

// The elements that can be in the support, as z, in room for `capacity` of them.
template <class T, class Curve> struct Candidates {
    double* z;
    Index capacity, size = 0;
    bool overflow = false, has_nan = false;
    T top, cut;

    Candidates(double* storage, Index room, T maximum)
        : z(storage), capacity(room), top(maximum),
          cut(static_cast<T>(static_cast<double>(maximum) - 1 / Curve::unit)) {}

    void add(const T* x, Index n) {
        using Vector = typename Lanes<T>::Vector;
        constexpr int width = Lanes<T>::width;
        each<T>(x, n, -infinity<T>, [&](Vector v, Index) __attribute__((always_inline)) {
            if (count(less(v, broadcast(cut))) < width) keep(v);  // a NaN is kept, and seen there
        });
    }
    void keep(typename Lanes<T>::Vector v) {
        constexpr int width = Lanes<T>::width;
        if (count(equal(v, v)) < width) has_nan = true;
        if (size > capacity - width) prune();
        if (overflow || has_nan) return;
        T lanes[width];
        store(lanes, v);
        for (int i = 0; i < width; i++) {
            z[size] = (static_cast<double>(lanes[i]) - static_cast<double>(top)) * Curve::unit;
            size += !(lanes[i] < cut);
        }
    }
    // The answer for a part of the row lies below that for the whole: elements not above it can be dropped.
    void prune() {
        double tau = threshold();
        overflow = !(tau > -1);
        if (overflow) return;
        Index kept = 0;
        for (Index i = 0; i < size; i++) {
            z[kept] = z[i];
            kept += z[i] > tau;
        }
        size = kept;
        overflow = size > capacity / 2;
        T border = static_cast<T>(static_cast<double>(top) + tau / Curve::unit);
        cut = border > cut ? border : cut;
    }
    double threshold() const {
        return solve<Curve>([&](double tau, bool in_two_parts) {
            return in_two_parts ? sums_above<true>(z, size, 0, 1, tau) : sums_above<false>(z, size, 0, 1, tau);
        });
    }
};

// Where there are too many to collect: over the whole row, chunk by chunk.
template <class Curve> inline double threshold_of_row(const Task& task, Index row, double top) {
    return solve<Curve>([&](double tau, bool in_two_parts) {
        Sums<double> sums = {0, 0, 0, 0, 0, infinity<double>};
        each_chunk_of_row(task, row, [&](const double* x, Index n) {
            sums = merged(sums, in_two_parts ? sums_above<true>(x, n, top, Curve::unit, tau)
                                             : sums_above<false>(x, n, top, Curve::unit, tau));
        });
        return sums;
    });
}

template <class T, class Curve>
inline void write_densities(bool streams, const T* x, T* out, Index n, T top, double tau) {
    using Vector = typename Lanes<T>::Vector;
    constexpr int width = Lanes<T>::width;
    if (!is_finite(tau)) return fill(out, n, not_a_number<T>);
    // rounding is monotone: all that lies below the rounded border lies below the border
    const Vector border = broadcast(static_cast<T>(static_cast<double>(top) + tau / Curve::unit));
    const Vector zero = broadcast(static_cast<T>(0));
    map<T>(x, out, n, streams, nullptr, 0, [=](auto& v, Index) __attribute__((always_inline)) {
        for (Vector& part : v) {
            auto outside = less(part, border);
            part = count(outside) == width ? zero : select(outside, zero, density<Curve>(part, top, tau));
        }
    });
}

template <class T, class Curve> struct Simplex {
    const Task& task;
    static constexpr Index long_row_candidates = 512;

    void group(Part<T> part) const {
        if (task.classes > chunk) return long_group(part);
        if (task.classes <= paired_row) return short_group(part);
        double storage[chunk + Lanes<T>::width];
        const T* in[group_rows];
        T* out[group_rows];
        part.length = task.classes;
        part.fetch(in);
        part.targets(out);
        for (int r = 0; r < part.rows; r++) {
            T top = largest(in[r], part.length);
            Candidates<T, Curve> candidates(storage, chunk + Lanes<T>::width, top);
            if (is_finite(top)) candidates.add(in[r], part.length);
            const double tau = threshold(part.first_row + r, candidates);
            write_densities<T, Curve>(part.streams(), in[r], out[r], part.length, top, tau);
        }
        part.commit(out, 0);
    }
    void short_group(Part<T> part) const {
        const T* in[group_rows];
        T* out[group_rows];
        part.length = task.classes;
        part.fetch(in);
        part.targets(out);
        for (int r = 0; r < part.rows; r += 8) {
            int rows = part.rows - r < 8 ? part.rows - r : 8;
            ShortRows<Curve>(in + r, rows, part.length).write(out + r, rows);
        }
        part.commit(out, 0);
    }

    // NaN where the row has no answer.
    double threshold(Index row, const Candidates<T, Curve>& candidates) const {
        if (!is_finite(candidates.top) || candidates.has_nan) return not_a_number<double>;
        return candidates.overflow ? threshold_of_row<Curve>(task, row, candidates.top) : candidates.threshold();
    }

    // fn(part, its rows) for each chunk.
    template <class Fn> void each_chunk(const Part<T>& whole, Fn fn) const {
        whole.each_chunk({0, task.classes}, [&](const Part<T>& part) {
            const T* in[group_rows];
            part.fetch(in);
            fn(part, in);
        });
    }
    void long_group(const Part<T>& part) const {
        T top[group_rows];
        double tau[group_rows];
        for (int r = 0; r < part.rows; r++) top[r] = -infinity<T>;
        each_chunk(part, [&](const Part<T>& here, const T* const* in) {
            for (int r = 0; r < here.rows; r++) {
                T most = largest(in[r], here.length);
                top[r] = most > top[r] ? most : top[r];
            }
        });
        thresholds(part, top, tau);
        each_chunk(part, [&](const Part<T>& here, const T* const* in) {
            T* out[group_rows];
            here.targets(out);
            for (int r = 0; r < here.rows; r++)
                write_densities<T, Curve>(part.streams(), in[r], out[r], here.length, top[r], tau[r]);
            here.commit(out, 0);
        });
    }
    void thresholds(const Part<T>& part, const T* top, double* tau) const {
        constexpr Index room = long_row_candidates + Lanes<T>::width;
        double storage[group_rows][room];
        alignas(Candidates<T, Curve>) char memory[group_rows * sizeof(Candidates<T, Curve>)];
        auto* candidates = reinterpret_cast<Candidates<T, Curve>*>(memory);
        for (int r = 0; r < part.rows; r++) candidates[r] = Candidates<T, Curve>(storage[r], room, top[r]);
        each_chunk(part, [&](const Part<T>& here, const T* const* in) {
            for (int r = 0; r < here.rows; r++)
                if (is_finite(top[r])) candidates[r].add(in[r], here.length);
        });
        for (int r = 0; r < part.rows; r++) tau[r] = threshold(part.first_row + r, candidates[r]);
    }
};

template <class T> inline void simplex_group(const Task& task, const Part<T>& part) {
    if (task.function == Function::sparsemax) Simplex<T, Linear>{task}.group(part);
    if (task.function == Function::entmax15) Simplex<T, Square>{task}.group(part);
}
inline void simplex_groups(const Task& task, Index first, Index last, void* scratch) {
    for (Index g = first; g < last; g++) {
        if (task.wide) simplex_group(task, part_of<double>(task, g, scratch));
        else simplex_group(task, part_of<float>(task, g, scratch));
    }
    fence();
}

}  // namespace
