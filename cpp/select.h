// The next token of a row: temperature, filters and the draw, without sorting the vocabulary.
//
// src/softmaxlib/sampling defines every result; here are the same tokens. What decides (which tokens stay, which
// wins) is a comparison of scores, a sum of whole numbers, or arithmetic that noise.h shares with the definition to
// the bit: neither the order of the work nor the instruction set matters.
#pragma once

#include "noise.h"

namespace {

constexpr long block = 128;         // one maximum for so many scores
constexpr long bins = 1024;
constexpr double bins_per_nat = 32;
constexpr long least_binned = 512;

// The tokens that are left, in ascending order; token == nullptr: all of them, numbered from 0.
template <class T> struct Tokens {
    const T* score;
    const uint32_t* token;
    long count;
    uint32_t id(long i) const { return token ? token[i] : static_cast<uint32_t>(i); }
};

// Sixteen scores as doubles, the tail filled up with -inf.
inline __attribute__((always_inline)) void sixteen(const float* p, long n, Doubles& a, Doubles& b) {
    widen(n >= 16 ? load(p) : load_partial(p, static_cast<int>(n), -infinity<float>), a, b);
}
inline __attribute__((always_inline)) void sixteen(const double* p, long n, Doubles& a, Doubles& b) {
    a = n >= 8 ? load(p) : load_partial(p, static_cast<int>(n), -infinity<double>);
    b = n >= 16  ? load(p + 8)
        : n <= 8 ? broadcast(-infinity<double>)
                 : load_partial(p + 8, static_cast<int>(n - 8), -infinity<double>);
}

// Scores at a temperature, less the largest of them.
struct Offset {
    double temperature, largest;
    template <class T> Offset(double t, T top) : temperature(t), largest(static_cast<double>(top) / t) {}
    double operator()(double score) const { return score / temperature - largest; }
    inline __attribute__((always_inline)) Doubles operator()(Doubles score) const {
        if (temperature == 1) return score - broadcast(largest);
        return score / broadcast(temperature) - broadcast(largest);
    }
};

// A sum of whole numbers below 2^bits in lanes of double, emptied into an integer before it could round.
class WholeSum {
    Doubles first = broadcast(0.0), second = broadcast(0.0);
    const long room;
    long used = 0;
    int64_t sum = 0;
    void flush() {
        double lanes[8];
        store(lanes, first + second);
        for (double lane : lanes) sum += static_cast<int64_t>(lane);
        first = second = broadcast(0.0);
        used = 0;
    }

  public:
    explicit WholeSum(int bits) : room(1l << (52 - bits)) {}
    inline __attribute__((always_inline)) void add(Doubles a, Doubles b) {
        first = first + a;
        second = second + b;
        if (++used == room) flush();
    }
    int64_t total() {
        flush();
        return sum;
    }
};

template <class T> T median_of_three(T a, T b, T c) {
    T low = a < b ? a : b, high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
}
// Reorders a[low, high): larger than the pivot, equal, smaller; gives where equals begin and end.
template <class Swap, class T>
inline void partition(const T* a, long low, long high, T pivot, long& equals, long& smaller, Swap swap) {
    equals = low;
    smaller = high;
    for (long i = low; i < smaller;) {
        if (a[i] > pivot) swap(i++, equals++);
        else if (a[i] < pivot) swap(i, --smaller);
        else i++;
    }
}
// A pivot from places that no fixed arrangement of the input can aim at.
template <class T> inline T pivot_of(const T* a, long low, long high, uint64_t& state) {
    T sample[3];
    for (T& value : sample) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        value = a[low + static_cast<long>((state >> 33) % static_cast<uint64_t>(high - low))];
    }
    return median_of_three(sample[0], sample[1], sample[2]);
}

template <class T> T kth_largest(T* a, long n, long k) {
    uint64_t state = static_cast<uint64_t>(n);
    long low = 0, high = n;
    while (true) {
        T pivot = pivot_of(a, low, high, state);
        long equals, smaller;
        partition(a, low, high, pivot, equals, smaller, [a](long i, long j) {
            T value = a[i];
            a[i] = a[j];
            a[j] = value;
        });
        if (k <= equals) high = equals;
        else if (k <= smaller) return pivot;
        else low = smaller;
    }
}

template <class T> struct Winner {
    uint32_t token;
    T score;
};

// Where a filter cuts: what is above `number` stays, and `equals` of those equal to it.
template <class Number> struct Cut {
    Number number;
    long equals;
};

template <class T> class Selection {
    const SampleTask& task;
    Tokens<T> left;
    T largest = 0;
    double temperature = 1;
    bool blocks_known = false;
    T *kept_score, *spare_score, *block_largest;
    int64_t* spare_mass;
    double* spare_number;  // the same room as spare_score
    uint32_t* kept_token;

  public:
    Selection(const SampleTask& t, const T* row, void* scratch) : task(t), left{row, nullptr, t.vocabulary} {
        const long n = task.vocabulary + 16;
        spare_mass = static_cast<int64_t*>(scratch);
        spare_number = reinterpret_cast<double*>(spare_mass + n);
        spare_score = reinterpret_cast<T*>(spare_number);
        kept_score = reinterpret_cast<T*>(spare_number + n);
        block_largest = kept_score + n;
        kept_token = reinterpret_cast<uint32_t*>(block_largest + (n + block - 1) / block);
    }

    // False where the row holds NaN or +inf, or nothing above -inf.
    bool scan() {
        long numbers = 0, lanes = 0;
        auto top = broadcast(-infinity<T>);
        for (long start = 0; start < left.count; start += block) {
            auto here = broadcast(-infinity<T>);
            const long n = left.count - start < block ? left.count - start : block;
            each<T>(left.score + start, n, -infinity<T>, [&](auto v, long) __attribute__((always_inline)) {
                here = maximum(here, v);
                numbers += count(equal(v, v));
                lanes += Lanes<T>::width;
            });
            block_largest[start / block] = largest_lane(here);
            top = maximum(top, here);
        }
        blocks_known = true;
        largest = largest_lane(top);
        return numbers == lanes && largest < infinity<T> && largest > -infinity<T>;
    }

    void apply(Filter filter, double parameter) {
        switch (filter) {
            case Filter::temperature: return set_temperature(parameter);
            case Filter::top_k: return keep_top_k(parameter);
            case Filter::top_p: return keep_top_p(parameter);
            case Filter::min_p: return keep_min_p(parameter);
            case Filter::typical_p: return keep_typical_p(parameter);
            case Filter::top_n_sigma: return keep_top_n_sigma(parameter);
        }
    }

    // Sets the entries of the tokens that are left.
    void mark(unsigned char* kept) const {
        for (long i = 0; i < left.count; i++) kept[left.id(i)] = 1;
    }
    Winner<T> draw(uint64_t seed, uint32_t position) const {
        Contest contest(*this, Key(seed, position));
        contest.run();
        return contest.winner;
    }
    // Of a token of the whole row, before any filter.
    T score_of(uint32_t token) const { return left.score[token]; }

    // The logarithm of a token's share of what is left: what log_softmax gives, to the bit.
    T log_share(T score) const {
        const Scale<T> scale(temperature);
        Exponential<T> exponential(scale);
        State state = empty_state;
        for (long start = 0; start < left.count; start += chunk) {
            const long n = left.count - start < chunk ? left.count - start : chunk;
            merge(scale, Function::log_softmax, state, sum_of_others(left.score + start, n, scale, exponential));
        }
        T lanes[Lanes<T>::width];
        store(lanes, shifted_log(broadcast(score), state.maximum, reciprocal(temperature), log1p(total_of(state))));
        return lanes[0];
    }

  private:
    // Appends to the kept tokens those of [from, to) whose score is at least the bound; gives their number then.
    long append(long from, long to, float bound, long kept) {
        const Floats least = broadcast(bound);
        for (long i = from; i < to; i += 16) {
            const Floats v = load_partial_or_whole(left.score + i, to - i);
            const FloatsMask m = less_equal(least, v);
            const int chosen = count(m);
            if (chosen == 0) continue;
            uint32_t tokens[16];
            for (int k = 0; k < 16; k++) tokens[k] = left.token ? left.token[i + k] : static_cast<uint32_t>(i + k);
            compress(kept_score + kept, m, v);
            compress(kept_token + kept, m, tokens);
            kept += chosen;
        }
        return kept;
    }
    long append(long from, long to, double bound, long kept) {
        for (long i = from; i < to; i++) {
            const double score = left.score[i];
            const uint32_t token = left.id(i);
            kept_score[kept] = score;  // written over by the next one unless it stays
            kept_token[kept] = token;
            kept += score >= bound;
        }
        return kept;
    }
    static Floats load_partial_or_whole(const float* p, long n) {
        return n >= 16 ? load(p) : load_partial(p, static_cast<int>(n), __builtin_nanf(""));
    }
    void keep_from(T bound) { leave(append(0, left.count, bound, 0)); }
    void leave(long kept) {
        left = {kept_score, kept_token, kept};
        blocks_known = false;
    }

    void set_temperature(double value) {
        if (value > 0) {
            temperature = value;
            return materialize(static_cast<T>(0));
        }
        long best = 0;
        while (left.score[best] != largest) best++;
        const uint32_t token = left.id(best);
        kept_score[0] = largest;
        kept_token[0] = token;
        leave(1);
    }
    // Two float32 scores stay different in double after any division; two doubles may become equal, and ties count.
    void materialize(float) {}
    void materialize(double) {
        for (long i = 0; i < left.count; i++) {
            kept_token[i] = left.id(i);
            kept_score[i] = left.score[i] == -infinity<T> ? left.score[i] : held(left.score[i] / temperature);
        }
        leave(left.count);
        largest = held(largest / temperature);
        temperature = 1;
    }

    // Beyond the largest number: held there.
    static double held(double score) {
        constexpr double limit = 0x1.fffffffffffffp1023;
        return score > limit ? limit : score < -limit ? -limit : score;
    }

    void keep_top_k(double parameter) {
        if (!(parameter < static_cast<double>(left.count))) return;
        const long k = static_cast<long>(parameter);
        const T bound = lower_bound(k);
        long kept = 0;
        for (long start = 0; start < left.count; start += block) {
            const long end = left.count - start < block ? left.count : start + block;
            if (!blocks_known || block_largest[start / block] >= bound) kept = append(start, end, bound, kept);
        }
        leave(kept);
        for (long i = 0; i < kept; i++) spare_score[i] = kept_score[i];
        keep_from(kth_largest(spare_score, kept, k));
    }
    // At least k scores are at least so large: the k-th largest of the blocks' maxima.
    T lower_bound(long k) {
        const long blocks = (left.count + block - 1) / block;
        if (!blocks_known || k > blocks) return -infinity<T>;
        for (long i = 0; i < blocks; i++) spare_score[i] = block_largest[i];
        return kth_largest(spare_score, blocks, k);
    }

    int unit_bits() const {
        int bits = 62;
        for (long n = task.vocabulary; n; n >>= 1) bits--;
        return bits < 51 ? bits : 51;
    }
    // use(first eight masses, last eight, index) for all that is left, as whole numbers in doubles.
    template <class Use> inline __attribute__((always_inline)) void each_mass(const Offset& offset, Use use) const {
        const Doubles unit = broadcast(static_cast<double>(1ll << unit_bits())), whole = broadcast(0x1p52);
        for (long i = 0; i < left.count; i += 16) {
            Doubles a, b;
            sixteen(left.score + i, left.count - i, a, b);
            a = (decided_exp(offset(a)) * unit + whole) - whole;
            b = (decided_exp(offset(b)) * unit + whole) - whole;
            use(a, b, i);
        }
    }
    int64_t mass_of(const Offset& offset, T score) const {
        double lanes[8];
        store(lanes, decided_exp(broadcast(offset(static_cast<double>(score)))));
        return static_cast<int64_t>((lanes[0] * static_cast<double>(1ll << unit_bits()) + 0x1p52) - 0x1p52);
    }

    // A score below which the exponential is certainly less than `weight`.
    T bound_of(double weight) const {
        const double score = static_cast<double>(largest) + temperature * (decided_log(weight) - 1e-6);
        return static_cast<T>(score - magnitude(score) * 1e-6);
    }
    void keep_min_p(double p) {
        if (p < 1e-300) return;
        keep_from(bound_of(p));
        keep_where([](Doubles offset) { return decided_exp(offset); }, [p](double weight) { return weight >= p; });
    }
    // Keeps the tokens for which keeps(number(offset)); all must be in the kept arrays already.
    template <class Number, class Keep> void keep_where(Number number, Keep keeps) {
        const Offset offset(temperature, largest);
        long kept = 0;
        for (long i = 0; i < left.count; i += 16) {
            Doubles a, b;
            sixteen(left.score + i, left.count - i, a, b);
            double value[16];
            store(value, number(offset(a)));
            store(value + 8, number(offset(b)));
            const long n = left.count - i < 16 ? left.count - i : 16;
            for (long k = 0; k < n; k++) {
                kept_score[kept] = left.score[i + k];
                kept_token[kept] = left.token[i + k];
                kept += keeps(value[k]);
            }
        }
        leave(kept);
    }

    // A token stays while the mass of those before it, in descending order, is less than this.
    struct Nucleus {
        int64_t total;
        double excluded;
        Nucleus(int64_t sum, double p) : total(sum), excluded((1.0 - p) * static_cast<double>(sum)) {}
        bool keeps(int64_t before) const { return before == 0 || static_cast<double>(total - before) > excluded; }
    };

    void keep_top_p(double p) {
        if (!(p < 1)) return;
        const Offset offset(temperature, largest);
        WholeSum sum(unit_bits());
        each_mass(offset, [&](Doubles a, Doubles b, long) { sum.add(a, b); });
        const Nucleus nucleus(sum.total(), p);
        leave_out_the_least(nucleus);
        const Cut<T> cut = find_cut(offset, nucleus);
        keep_from(cut.number);
        long equals = 0, kept = 0;
        for (long i = 0; i < left.count; i++) equals += left.score[i] == cut.number;
        for (long i = 0; i < left.count; i++) {
            kept_score[kept] = left.score[i];
            kept_token[kept] = left.token[i];
            kept += left.score[i] != cut.number || equals-- <= cut.equals;
        }
        leave(kept);
    }
    // Tokens so improbable that all of them together are less than half of what top-p leaves out.
    void leave_out_the_least(const Nucleus& nucleus) {
        const double number = static_cast<double>(left.count);
        if (nucleus.excluded > 4 * number)
            keep_from(bound_of(nucleus.excluded / 2 / number / static_cast<double>(1ll << unit_bits())));
        else
            keep_from(-infinity<T>);
    }

    Cut<T> find_cut(const Offset& offset, const Nucleus& nucleus) {
        auto keeps = [nucleus](int64_t before) { return nucleus.keeps(before); };
        if (left.count < least_binned) {
            each_mass(offset, [&](Doubles a, Doubles b, long i) { gather_masses(a, b, i); });
            for (long i = 0; i < left.count; i++) spare_score[i] = left.score[i];
            return cut_among(spare_score, left.count, 0, keeps);
        }
        int64_t binned[bins] = {};
        each_mass(offset, [&](Doubles a, Doubles b, long i) { add_to_bins(a, b, i, binned); });
        int64_t before = 0;
        long bin = 0;
        while (nucleus.keeps(before + binned[bin]) && bin < bins - 1) before += binned[bin++];
        return cut_among(spare_score, gather_bin(offset, bin), before, keeps);
    }
    void gather_masses(Doubles a, Doubles b, long i) {
        double mass[16];
        store(mass, a);
        store(mass + 8, b);
        const long n = left.count - i < 16 ? left.count - i : 16;
        for (long k = 0; k < n; k++) spare_mass[i + k] = static_cast<int64_t>(mass[k]);
    }
    T bin_scale() const {
        const double scale = bins_per_nat / temperature;
        return static_cast<T>(scale < 1e30 ? scale : 1e30);
    }
    static long bin_of(T score, T top, T scale) {
        const T bin = (top - score) * scale;
        return bin < static_cast<T>(bins - 1) ? static_cast<long>(bin) : bins - 1;
    }
    inline __attribute__((always_inline)) void add_to_bins(Doubles a, Doubles b, long i, int64_t* binned) const {
        double mass[16];
        store(mass, a);
        store(mass + 8, b);
        const T scale = bin_scale();
        const long n = left.count - i < 16 ? left.count - i : 16;
        for (long k = 0; k < n; k++)
            binned[bin_of(left.score[i + k], largest, scale)] += static_cast<int64_t>(mass[k]);
    }
    long gather_bin(const Offset& offset, long bin) {
        const T scale = bin_scale();
        long found = 0;
        for (long i = 0; i < left.count; i++) {
            spare_score[found] = left.score[i];
            found += bin_of(left.score[i], largest, scale) == bin;
        }
        for (long i = 0; i < found; i++) spare_mass[i] = mass_of(offset, spare_score[i]);
        return found;
    }
    // Among n numbers, the smallest that stays, and how many equal to it do; keeps(mass before) says which stay, and
    // `before` is the mass of all that are larger than these.
    template <class Number, class Keep> Cut<Number> cut_among(Number* number, long n, int64_t before, Keep keeps) {
        uint64_t state = static_cast<uint64_t>(n);
        long low = 0, high = n;
        int64_t* mass = spare_mass;
        while (true) {
            const Number pivot = pivot_of(number, low, high, state);
            long equals, smaller;
            partition(number, low, high, pivot, equals, smaller, [=](long i, long j) {
                const Number kept_number = number[i];
                const int64_t kept_mass = mass[i];
                number[i] = number[j];
                mass[i] = mass[j];
                number[j] = kept_number;
                mass[j] = kept_mass;
            });
            int64_t above = 0;
            for (long i = low; i < equals; i++) above += mass[i];
            if (equals > low && !keeps(before + above)) {
                high = equals;
                continue;
            }
            before += above;
            long stay = 0;
            for (long i = equals; i < smaller && keeps(before); i++, stay++) before += mass[i];
            if (stay < smaller - equals || smaller == high || !keeps(before)) return {pivot, stay};
            low = smaller;
        }
    }

    // Tokens whose surprise is nearest to the entropy: nearest to the mean of the scores.
    void keep_typical_p(double p) {
        if (!(p < 1)) return;
        keep_from(-infinity<T>);
        WholeSum sum(unit_bits()), below(unit_bits());
        each_term([&](Doubles a, Doubles b) { sum.add(a, b); }, [&](Doubles a, Doubles b) { below.add(a, b); });
        const double total = static_cast<double>(sum.total()), mean = static_cast<double>(below.total()) / total;
        gather_distances(mean);
        const double wanted = p * total;
        const Cut<double> cut = cut_among(spare_number, left.count, 0, [wanted](int64_t before) {
            return before == 0 || static_cast<double>(before) < wanted;
        });
        const Doubles middle = broadcast(mean);
        keep_where([middle](Doubles offset) { return absolute(middle - offset); },
                   [cut](double distance) { return distance <= -cut.number; });
        largest = left.score[0];
        for (long i = 1; i < left.count; i++) largest = left.score[i] > largest ? left.score[i] : largest;
    }
    // Masses, and masses times offset, as whole numbers in doubles.
    template <class Use, class UseTerm> void each_term(Use use, UseTerm use_term) const {
        const Offset offset(temperature, largest);
        const Doubles unit = broadcast(static_cast<double>(1ll << unit_bits())), zero = broadcast(0.0);
        const Doubles whole = broadcast(0x1.8p52);
        auto rounded = [&](Doubles x) { return (x * unit + whole) - whole; };
        auto term = [&](Doubles weight, Doubles distance) {
            return rounded(weight * select(less(zero, weight), distance, zero));
        };
        for (long i = 0; i < left.count; i += 16) {
            Doubles a, b;
            sixteen(left.score + i, left.count - i, a, b);
            a = offset(a);
            b = offset(b);
            const Doubles weight_a = decided_exp(a), weight_b = decided_exp(b);
            use(rounded(weight_a), rounded(weight_b));
            use_term(term(weight_a, a), term(weight_b, b));
        }
    }
    // The distances from the mean, negative so that the nearest come first, beside their masses.
    void gather_distances(double mean) {
        const Offset offset(temperature, largest);
        each_mass(offset, [&](Doubles a, Doubles b, long i) { gather_masses(a, b, i); });
        for (long i = 0; i < left.count; i++) {
            const double distance = mean - offset(static_cast<double>(left.score[i]));
            spare_number[i] = -magnitude(distance);
        }
    }

    // Scores within n standard deviations of the largest, in units of the range.
    void keep_top_n_sigma(double n) {
        keep_from(least_finite());
        const double top = 0.5 * (static_cast<double>(largest) / temperature);
        const double bottom = 0.5 * (static_cast<double>(smallest_left()) / temperature);
        const double span = top - bottom > 0 ? top - bottom : 1, number = static_cast<double>(left.count);
        const double unit = 1 / static_cast<double>(1ll << unit_bits());
        int64_t sum = sum_of([&](Doubles d) { return d; }, top, span);
        const Doubles mean = broadcast(static_cast<double>(sum) * unit / number);
        sum = sum_of([&](Doubles d) { return (d - mean) * (d - mean); }, top, span);
        const double farthest = n * __builtin_sqrt(static_cast<double>(sum) * unit / number);
        long kept = 0;
        for (long i = 0; i < left.count; i++) {
            const double half = 0.5 * (static_cast<double>(left.score[i]) / temperature);
            kept_score[kept] = left.score[i];
            kept_token[kept] = left.token[i];
            kept += (top - half) / span <= farthest;
        }
        leave(kept);
    }
    static constexpr T least_finite() { return sizeof(T) == 4 ? static_cast<T>(-0x1.fffffep127) : static_cast<T>(-0x1.fffffffffffffp1023); }
    T smallest_left() const {
        T smallest = left.score[0];
        for (long i = 1; i < left.count; i++) smallest = left.score[i] < smallest ? left.score[i] : smallest;
        return smallest;
    }
    // The sum of number(distance below the largest in units of the range), in whole units.
    template <class Number> int64_t sum_of(Number number, double top, double span) const {
        const Doubles half = broadcast(0.5), high = broadcast(top), range = broadcast(span), heat = broadcast(temperature);
        const Doubles unit = broadcast(static_cast<double>(1ll << unit_bits())), whole = broadcast(0x1p52);
        auto rounded = [&](Doubles score) {
            const Doubles distance = (high - half * (score / heat)) / range;
            const Doubles result = (number(distance) * unit + whole) - whole;
            return select(less(distance, broadcast(infinity<double>)), result, broadcast(0.0));  // not the filled-up lanes
        };
        WholeSum sum(unit_bits());
        for (long i = 0; i < left.count; i += 16) {
            Doubles a, b;
            sixteen(left.score + i, left.count - i, a, b);
            sum.add(rounded(a), rounded(b));
        }
        return sum.total();
    }

    // The largest score plus noise.
    struct Contest {
        const Selection& row;
        const Key key;
        const Offset offset;
        double best = -infinity<double>;
        Winner<T> winner = {0, 0};

        // For the quick test: float bounds of what can still win, renewed with the best.
        float scale, shift = 0;

        Contest(const Selection& selection, Key k)
            : row(selection), key(k), offset(row.temperature, row.largest),
              scale(static_cast<float>(log2_e / row.temperature)) {}

        __attribute__((noinline)) void enter(long from, long to) {
            for (long i = from; i < to; i++) {
                const uint32_t token = row.left.id(i);
                const double sum = offset(static_cast<double>(row.left.score[i])) + gumbel(key, token);
                if (sum < best || (sum == best && token > winner.token)) continue;
                best = sum;
                winner = {token, row.left.score[i]};
            }
            shift = static_cast<float>(24 + 127 + 0x1p-6 - best * log2_e);
        }
        void run() {
            const long n = row.left.count;
            enter(0, n < 16 ? n : 16);
            long i = 16;
            for (; i + 32 <= n; i += 32)
                if (may_win(i)) enter(i, i + 32);
            if (i < n) enter(i, n);
        }
        inline __attribute__((always_inline)) void load_tokens(long i, Words& to) const {
            if (row.left.token) {
                memcpy(&to, row.left.token + i, 64);
            } else {
                const Words count_up = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
                to = count_up + static_cast<uint32_t>(i);
            }
        }
        // Whether one of 32 tokens may beat the best so far, without a logarithm. A uniform number u gives noise
        // -log(-log u) <= -log(1 - u), so a token loses unless 1 - u <= exp(offset - best). From above, 2^y is at
        // most 1 + y between whole numbers: an integer read as the bits of a float.
        inline __attribute__((always_inline)) bool may_win(long i) const {
            Words first[2], second[2];
            load_tokens(i, first[0]);
            load_tokens(i + 16, first[1]);
            key.scramble(first[0], second[0]);
            key.scramble(first[1], second[1]);
            Integers any = {};
            add_bounded(first[0], row.left.score + i, any);
            add_bounded(first[1], row.left.score + i + 16, any);
            uint64_t part[8];
            memcpy(part, &any, 64);
            return (part[0] | part[1] | part[2] | part[3] | part[4] | part[5] | part[6] | part[7]) != 0;
        }
        inline __attribute__((always_inline)) void add_bounded(const Words& noise, const T* from, Integers& any) const {
            Reals distance;
            distances(from, distance);
            Reals exponent = distance * scale + shift;
            exponent = exponent > 0.0f ? exponent : Reals{};
            exponent = exponent < 250.0f ? exponent : Reals{} + 250.0f;
            const Integers bits = __builtin_convertvector(exponent * 0x1p23f, Integers);
            const Integers rest = (Integers)(~noise >> 8);
            any |= __builtin_convertvector(rest, Reals) <= (Reals)bits;
        }
        inline __attribute__((always_inline)) void distances(const float* from, Reals& to) const {
            memcpy(&to, from, 64);
            to = to - row.largest;
        }
        inline __attribute__((always_inline)) void distances(const double* from, Reals& to) const {
            float lane[16];
            for (int k = 0; k < 16; k++) lane[k] = static_cast<float>(from[k] - row.largest);
            memcpy(&to, lane, 64);
        }
    };
};

}  // namespace
