// From rows of logits or probabilities to decisions, sixteen rows at a time.
//
// Every step works class by class on a tile of turned rows, in the order of the classes: sums and products have the
// same bits in any batch, on any number of threads and on any instruction set. Probabilities are those of the softmax
// kernel.
#pragma once

#include "least_inside.h"
#include "tile_products.h"

namespace {

// What a thread works in. A tile's class is one vector of each of its groups of rows.
template <class T> struct JudgeRoom {
    T *tile, *rows, *bounds;
    double *wide_tile, *costs;
    JudgeRoom(void* scratch, Index classes, Index actions) {
        char* at = static_cast<char*>(scratch);
        at += -reinterpret_cast<uintptr_t>(at) & 63;
        const auto take = [&](Index numbers) {
            double* taken = reinterpret_cast<double*>(at);
            at += numbers * static_cast<Index>(sizeof(double));
            return taken;
        };
        tile = reinterpret_cast<T*>(take(classes * 32));
        rows = reinterpret_cast<T*>(take(classes * 16));
        bounds = reinterpret_cast<T*>(take(classes * 16));
        wide_tile = take(classes * 16);
        costs = take(actions * 16);
    }
};

template <class T> struct Judge {
    using Vector = typename Lanes<T>::Vector;
    static constexpr int parts = Column<T>::parts;

    const JudgeTask& task;
    const Index classes;
    const int together;  // groups of sixteen rows
    const Index step;
    JudgeRoom<T> room;
    Scale<T> scale;
    Exponential<T> exponential;
    Task rows_task, wide_task;  // softmax in place of sixteen rows that lie row by row
    double highest_threshold;
    bool one_threshold;

    Judge(const JudgeTask& t, void* scratch)
        : task(t), classes(t.rows.classes), together(is_short() && classes <= paired_row ? 2 : 1), step(16 * together),
          room(scratch, classes, t.actions), scale(1), exponential(scale) {
        if (!is_short()) set_softmax(rows_task, room.rows, sizeof(T) == 8);
        if (task.intercept) set_softmax(wide_task, room.rows, true);
        highest_threshold = task.threshold ? task.threshold[0] : 0;
        one_threshold = true;
        const bool of_classes = task.criterion != Criterion::confidence && task.threshold;
        for (Index k = 1; of_classes && k < classes; k++) {
            one_threshold &= task.threshold[k] == task.threshold[0];
            if (task.threshold[k] > highest_threshold) highest_threshold = task.threshold[k];
        }
        if (task.criterion == Criterion::score_sets) {
            for (Index k = 0; k < classes; k++)
                room.bounds[k] = k && task.threshold[k] == task.threshold[k - 1] ? room.bounds[k - 1]
                                                                                 : least_inside<T>(task.threshold[k]);
            for (Index i = classes; i < classes * group_rows; i++) room.bounds[i] = room.bounds[i - classes];
        }
    }
    bool is_short() const { return sizeof(T) == 4 && classes <= traits_of(Function::softmax).short_row; }
    void set_softmax(Task& softmax, void* memory, bool wide) const {
        softmax.function = Function::softmax;
        softmax.wide = wide;
        softmax.stream = false;
        softmax.temperature = 1;
        softmax.rows = group_rows;
        softmax.classes = classes;
        softmax.lead = 0;
        softmax.outer = {1, {group_rows}};
        softmax.inner = {1, {classes}};
        const ptrdiff_t size = wide ? 8 : 4;
        softmax.input.data = static_cast<char*>(memory);
        softmax.input.dtype = wide ? DType::float64 : DType::float32;
        softmax.input.swapped = false;
        softmax.input.outer[0] = classes * size;
        softmax.input.inner[0] = size;
        softmax.output = softmax.input;
        softmax.where.data = softmax.sink.data = softmax.tangent.data = nullptr;
    }

    // The first row that breaks a rule, or -1.
    Index run(Index first, Index last) {
        Index bad = -1;
        for (Index row = first; row < last; row += group_rows * together) {
            for (int g = 0; g < together; g++) {
                T* tile = room.tile + g * group_rows;
                const Index from = row + g * group_rows;
                const int here = here_of(from, last);
                load_rows(task.rows, from, here, tile, step);
                const int wrong = bad < 0 ? find_wrong(task.rows, tile, step, here) : -1;
                if (wrong >= 0) bad = from + wrong;
                if (task.rows.probabilities) continue;
                calibrate(tile, from, here);
                if (task.calibrated) store_rows_of(tile, step, classes, from, here, task.calibrated);
            }
            if (!task.rows.probabilities) softmax();
            for (int g = 0; g < together; g++) {
                T* tile = room.tile + g * group_rows;
                const Index from = row + g * group_rows;
                const int here = here_of(from, last);
                if (here == 0) break;
                if (task.chances) store_rows_of(tile, step, classes, from, here, task.chances);
                decide(tile, from, here);
            }
        }
        return bad;
    }
    static int here_of(Index from, Index last) {
        return last - from < group_rows ? last > from ? static_cast<int>(last - from) : 0 : group_rows;
    }

    void calibrate(T* tile, Index first, int rows) {
        if (task.intercept) return correct(tile, first, rows);
        if (task.temperature == 0) return;
        const Vector temperature = broadcast(static_cast<T>(task.temperature));
        for (Index k = 0; k < classes; k++)
            for (int i = 0; i < parts; i++) {
                T* at = tile + k * step + i * Lanes<T>::width;
                store(at, load(at) / temperature);
            }
        shift_overflown(tile, step, first, rows);
    }
    // Where x / temperature is beyond the largest number, the row is shifted to a maximum of 0 first.
    template <class X> void shift_overflown(X* tile, Index tile_step, Index first, int rows) {
        if (find_not_finite(tile, tile_step, classes, rows) < 0) return;
        const double bound = sizeof(X) == 4 ? 0x1.fffffep127 : 0x1.fffffffffffffp1023;
        for (int r = 0; r < rows; r++) {
            bool finite = true;
            for (Index k = 0; k < classes; k++) finite &= is_finite(tile[k * tile_step + r]);
            if (finite) continue;
            double most = -infinity<double>;
            for (Index k = 0; k < classes; k++) most = half_of(first + r, k) > most ? half_of(first + r, k) : most;
            for (Index k = 0; k < classes; k++) {
                double quotient = (half_of(first + r, k) - most) / task.temperature;
                quotient = quotient > -bound / 2 ? quotient : -bound / 2;
                tile[k * tile_step + r] = static_cast<X>((quotient < 0 ? quotient : 0) * 2);
            }
        }
    }
    double half_of(Index row, Index k) const {
        return read<T>(task.rows.data + row * task.rows.row_stride + k * task.rows.class_stride, false) * 0.5;
    }
    // Vector and matrix scaling, in double.
    void correct(T* tile, Index first, int rows) {
        double *wide = room.wide_tile, *by_row = reinterpret_cast<double*>(room.rows);
        const Doubles temperature = broadcast(task.temperature), kept = broadcast(1 - task.floor),
                      zero = broadcast(0.0);
        const Doubles floor = broadcast(task.floor / static_cast<double>(classes)), one = broadcast(1.0);
        for (Index k = 0; k < classes; k++) {
            const Pair x = widened(tile + k * step);
            store(wide + k * 16, Pair{x.low / temperature, x.high / temperature});
        }
        shift_overflown(wide, 16, first, rows);
        const ptrdiff_t stride = classes * static_cast<ptrdiff_t>(sizeof(double));
        turn_back(wide, 16, classes, reinterpret_cast<char*>(by_row), stride);
        task.softmax(wide_task, 0, 1, nullptr);
        turn(reinterpret_cast<const char*>(by_row), stride, classes, wide, 16);
        const auto logarithm = [&](Doubles p) {
            p = p * kept + floor;
            return zero - log1p(maximum(zero, (one - p) / p));
        };
        for (Index k = 0; k < classes; k++)
            for (int half = 0; half < 2; half++)
                store(wide + k * 16 + half * 8, logarithm(load(wide + k * 16 + half * 8)));
        const auto put = [&](Index k, const Pair& sum) {
            const Doubles intercept = broadcast(task.intercept[k]);
            narrow_to(tile + k * step, Pair{sum.low + intercept, sum.high + intercept});
        };
        if (task.matrix) return products(wide, 16, classes, task.matrix, 1, classes, classes, put);
        for (Index k = 0; k < classes; k++) {
            const Doubles factor = broadcast(task.scale[k]);
            put(k, Pair{load(wide + k * 16) * factor, load(wide + k * 16 + 8) * factor});
        }
    }

    void softmax() {
        if (softmax_of_short(room.tile)) return;
        const ptrdiff_t stride = classes * static_cast<ptrdiff_t>(sizeof(T));
        turn_back(room.tile, step, classes, reinterpret_cast<char*>(room.rows), stride);
        task.softmax(rows_task, 0, 1, nullptr);
        turn(reinterpret_cast<const char*>(room.rows), stride, classes, room.tile, step);
    }
    bool softmax_of_short(float* tile) {
        if (!is_short()) return false;
        together == 2 ? short_softmax<2>(scale, exponential, tile, classes)
                      : short_softmax<1>(scale, exponential, tile, classes);
        return true;
    }
    bool softmax_of_short(double*) { return false; }

    // The numbers of the actions, -1 where the row is set aside.
    void put_actions(const double* place, const bool* aside, Index first, int rows) {
        for (int r = 0; r < rows; r++) {
            task.abstained[first + r] = aside[r];
            task.action[first + r] = aside[r] ? -1 : static_cast<int64_t>(place[r]);
        }
    }
    void decide(T* tile, Index first, int rows) {
        const Top<T> top = find_top(tile, step, classes);
        double confidence[group_rows], place[group_rows];
        bool aside[group_rows] = {};
        store(confidence, widened(top.value));
        store(place, widened(top.place));
        memcpy(task.confidence + first, confidence, rows * sizeof(double));
        for (int r = 0; r < rows && task.most_likely; r++) task.most_likely[first + r] = static_cast<int32_t>(place[r]);
        switch (task.criterion) {
            case Criterion::most_likely: break;
            case Criterion::confidence:
                for (int r = 0; r < rows; r++) aside[r] = confidence[r] < task.threshold[0];
                break;
            case Criterion::thresholds: by_thresholds(tile, confidence, place, aside); break;
            case Criterion::cost: by_cost(tile, place, aside, first, rows); break;
            case Criterion::score_sets: by_score(tile, place, aside, first, rows); break;
            case Criterion::ordered_sets: by_order(tile, place, aside, first, rows); break;
        }
        put_actions(place, aside, first, rows);
    }

    void by_thresholds(const T* tile, const double* confidence, double* place, bool* aside) {
        if (one_threshold && sizeof(T) == 4) {  // the quotients of two floats by one double differ as they do
            for (int r = 0; r < group_rows; r++) aside[r] = confidence[r] < task.threshold[0];
            return;
        }
        Pair best = Pair::all(-1), at = Pair::all(0), number = at, needed = at;
        for (Index k = 0; k < classes; k++) {
            const Pair x = widened(tile + k * step);
            const Doubles threshold = broadcast(task.threshold[k]), class_number = broadcast(static_cast<double>(k));
            const auto take = [&](Doubles p, Doubles& best_half, Doubles& at_half, Doubles& number_half,
                                  Doubles& needed_half) {
                const Doubles quotient = p / threshold;
                const auto higher = less(best_half, quotient);
                best_half = select(higher, quotient, best_half);
                at_half = select(higher, p, at_half);
                number_half = select(higher, class_number, number_half);
                needed_half = select(higher, threshold, needed_half);
            };
            take(x.low, best.low, at.low, number.low, needed.low);
            take(x.high, best.high, at.high, number.high, needed.high);
        }
        double reached[group_rows], wanted[group_rows];
        store(reached, at);
        store(wanted, needed);
        store(place, number);
        for (int r = 0; r < group_rows; r++)
            aside[r] = !(reached[r] >= wanted[r]);  // compared, not divided: equal passes
    }

    void by_cost(const T* tile, double* place, bool* aside, Index first, int rows) {
        Pair least = Pair::all(infinity<double>), number = Pair::all(0), paid = number;
        products(tile, step, classes, task.cost, task.actions, 1, task.actions, [&](Index a, const Pair& cost) {
            store(room.costs + a * 16, cost);
            least = {minimum(least.low, cost.low), minimum(least.high, cost.high)};
        });
        const Doubles tie = broadcast(task.tie);
        const Pair most = {least.low + tie, least.high + tie};
        for (Index a = task.actions - 1; a >= 0; a--) {
            const Doubles low = load(room.costs + a * 16), high = load(room.costs + a * 16 + 8),
                          action = broadcast(static_cast<double>(a));
            const auto low_ties = less_equal(low, most.low), high_ties = less_equal(high, most.high);
            number = {select(low_ties, action, number.low), select(high_ties, action, number.high)};
            paid = {select(low_ties, low, paid.low), select(high_ties, high, paid.high)};
        }
        double costs[group_rows];
        store(place, number);
        store(costs, paid);
        for (int r = 0; r < rows; r++) {
            aside[r] = costs[r] > task.abstain_cost + task.tie;
            task.expected_cost[first + r] = aside[r] ? task.abstain_cost : costs[r];
        }
        if (!task.cheapest) return;
        for (int r = 0; r < rows; r++) task.cheapest[first + r] = static_cast<int64_t>(place[r]);
        memcpy(task.cheapest_cost + first, costs, rows * sizeof(double));
    }

    void by_score(const T* tile, double* place, bool* aside, Index first, int rows) {
        Column<T> size = Column<T>::all(0), sum = size;
        const Vector one = broadcast(static_cast<T>(1)), zero = broadcast(static_cast<T>(0));
        for (Index k = 0; k < classes; k++) {
            const Vector bound = broadcast(room.bounds[k]), number = broadcast(static_cast<T>(k));
            for (int i = 0; i < parts; i++) {
                const auto inside = less_equal(bound, load(tile + k * step + i * Lanes<T>::width));
                size.part[i] = size.part[i] + select(inside, one, zero);
                sum.part[i] = sum.part[i] + select(inside, number, zero);
            }
        }
        bool* sets = task.sets + first * classes;
        turn_back(tile, step, classes, reinterpret_cast<char*>(room.rows), classes * static_cast<ptrdiff_t>(sizeof(T)));
        const T *chances = room.rows, *bounds = room.bounds;
        for (Index i = 0; i < rows * classes; i++) sets[i] = chances[i] >= bounds[i];
        double sizes[group_rows], sums[group_rows];
        store(sizes, widened(size));
        store(sums, widened(sum));
        put_sets(sets, sizes, sums, place, aside, rows);
    }
    // The class of a set of one; the sum of the numbers in it is its number.
    void put_sets(bool* sets, const double* sizes, const double* sums, double* place, bool* aside, int rows) {
        for (int r = 0; r < rows; r++) {
            const bool is_filled = sizes[r] == 0 && !task.allow_empty;
            if (is_filled) sets[r * classes + static_cast<Index>(place[r])] = true;
            aside[r] = sizes[r] != 1 && !is_filled;
            if (!aside[r] && !is_filled) place[r] = sums[r];
        }
    }

    // Class by class in falling order of probability, of all rows at once, until each has left its threshold behind.
    void by_order(T* tile, double* place, bool* aside, Index first, int rows) {
        bool* sets = task.sets + first * classes;
        memset(sets, 0, rows * classes);
        double sizes[group_rows] = {}, sums[group_rows] = {};
        Column<T> taken = Column<T>::all(-1);
        Pair mass = Pair::all(0);
        const Vector gone = broadcast(static_cast<T>(-1));
        for (Index rank = 1; rank <= classes; rank++) {
            Top<T> top = {Column<T>::all(-1), Column<T>::all(0)};
            for (Index k = 0; k < classes; k++) {
                const Vector number = broadcast(static_cast<T>(k));
                for (int i = 0; i < parts; i++) {
                    T* at = tile + k * step + i * Lanes<T>::width;
                    const Vector x = select(equal(taken.part[i], number), gone, load(at));
                    const auto higher = less(top.value.part[i], x);
                    store(at, x);
                    top.value.part[i] = select(higher, x, top.value.part[i]);
                    top.place.part[i] = select(higher, number, top.place.part[i]);
                }
            }
            taken = top.place;
            const Pair value = widened(top.value);
            mass = {mass.low + value.low, mass.high + value.high};
            Pair score = task.own_counts ? mass : Pair{mass.low - value.low, mass.high - value.high};
            if (task.penalty != 0) {
                const Doubles more = broadcast(
                    task.penalty * static_cast<double>(rank > task.penalty_rank ? rank - task.penalty_rank : 0));
                score = {score.low + more, score.high + more};
            }
            double scores[group_rows], numbers[group_rows];
            store(scores, score);
            store(numbers, widened(top.place));
            bool all_beyond = true;
            for (int r = 0; r < rows; r++) {
                const Index k = static_cast<Index>(numbers[r]);
                const bool inside = scores[r] <= task.threshold[one_threshold ? 0 : k];
                sets[r * classes + k] = inside;
                sizes[r] += inside;
                sums[r] += inside ? numbers[r] : 0;
                all_beyond &= scores[r] > highest_threshold + 1e-9;  // rounding can't bring a later one back
            }
            if (all_beyond) break;
        }
        put_sets(sets, sizes, sums, place, aside, rows);
    }
};

Index judge(const JudgeTask& task, Index first, Index last, void* scratch) {
    return task.rows.wide ? Judge<double>(task, scratch).run(first, last)
                          : Judge<float>(task, scratch).run(first, last);
}

}  // namespace
