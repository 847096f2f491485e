// A row that tokens are drawn from: the tokens that are left, and its working set.
#pragma once

#include "chunks.h"
#include "lone_rows.h"
#include "token_scores.h"

namespace {

constexpr Index block = 128;  // one maximum for this many scores

template <class T> struct Selection {
    const SampleTask& task;
    Tokens<T> left;
    T largest = 0;
    double temperature = 1;
    bool blocks_known = false;
    T *kept_score, *spare_score, *block_largest;
    int64_t* spare_mass;
    double* spare_number;  // the same room as spare_score
    uint32_t* kept_token;

    Selection(const SampleTask& t, const T* row, void* scratch) : task(t), left{row, nullptr, t.vocabulary} {
        const Index n = task.vocabulary + 16;
        spare_mass = static_cast<int64_t*>(scratch);
        spare_number = reinterpret_cast<double*>(spare_mass + n);
        spare_score = reinterpret_cast<T*>(spare_number);
        kept_score = reinterpret_cast<T*>(spare_number + n);
        block_largest = kept_score + n;
        kept_token = reinterpret_cast<uint32_t*>(block_largest + (n + block - 1) / block);
    }

    // False where the row holds NaN or +inf, or nothing above -inf.
    bool scan() {
        Index numbers = 0, lanes = 0;
        auto top = broadcast(-infinity<T>);
        for (Index start = 0; start < left.count; start += block) {
            auto here = broadcast(-infinity<T>);
            const Index n = left.count - start < block ? left.count - start : block;
            each<T>(left.score + start, n, -infinity<T>, [&](auto v, Index) __attribute__((always_inline)) {
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

    // Sets the entries of the tokens that are left.
    void mark(unsigned char* kept) const {
        for (Index i = 0; i < left.count; i++) kept[left.id(i)] = 1;
    }
    // Of a token of the whole row, before any filter.
    T score_of(uint32_t token) const { return left.score[token]; }

    // The logarithm of a token's share of the tokens left: the bits of log_softmax.
    T log_share(T score) const {
        if constexpr (sizeof(T) == 4)
            if (left.count <= traits_of(Function::log_softmax).short_row)
                return lone_logarithm(temperature, left.score, left.count, score);
        const Scale<T> scale(temperature);
        Exponential<T> exponential(scale);
        RowState state, segment;
        const auto join = [&](RowState& into, const RowState& part) {
            merge(scale, Function::log_softmax, into, part);
        };
        each_chunk({0, left.count}, [&](Index start, Index length) {
            const RowState part = sum_of_others(left.score + start, length, scale, exponential);
            join_chunk(left.count, start, length, state, segment, part, join);
        });
        T lanes[Lanes<T>::width];
        store(lanes, shifted_log(broadcast(score), state.maximum, reciprocal(temperature), log1p(total_of(state))));
        return lanes[0];
    }

    // Appends to the kept tokens those of [from, to) whose score is at least the bound; gives their number then.
    Index append(Index from, Index to, float bound, Index kept) {
        const Floats least = broadcast(bound);
        for (Index i = from; i < to; i += 16) {
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
    Index append(Index from, Index to, double bound, Index kept) {
        for (Index i = from; i < to; i++) {
            const double score = left.score[i];
            const uint32_t token = left.id(i);
            kept_score[kept] = score;  // written over by the next one unless it stays
            kept_token[kept] = token;
            kept += score >= bound;
        }
        return kept;
    }
    static Floats load_partial_or_whole(const float* p, Index n) {
        return n >= 16 ? load(p) : load_partial(p, static_cast<int>(n), __builtin_nanf(""));
    }
    void keep_from(T bound) { leave(append(0, left.count, bound, 0)); }
    void leave(Index kept) {
        left = {kept_score, kept_token, kept};
        blocks_known = false;
    }

    int unit_bits() const {
        int bits = 62;
        for (Index n = task.vocabulary; n; n >>= 1) bits--;
        return bits < 51 ? bits : 51;
    }
    // use(first eight masses, last eight, index) for all that is left, as whole numbers in doubles.
    template <class Use> inline __attribute__((always_inline)) void each_mass(const Offset& offset, Use use) const {
        const Doubles unit = broadcast(static_cast<double>(1ll << unit_bits())), whole = broadcast(0x1p52);
        for (Index i = 0; i < left.count; i += 16) {
            Doubles a, b;
            sixteen(left.score + i, left.count - i, a, b);
            a = (decided_exp(offset(a)) * unit + whole) - whole;
            b = (decided_exp(offset(b)) * unit + whole) - whole;
            use(a, b, i);
        }
    }
    // The masses of sixteen tokens, from index i on, as integers beside them.
    void gather_masses(Doubles a, Doubles b, Index i) const {
        double mass[16];
        store(mass, a);
        store(mass + 8, b);
        const Index n = left.count - i < 16 ? left.count - i : 16;
        for (Index k = 0; k < n; k++) spare_mass[i + k] = static_cast<int64_t>(mass[k]);
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
    // Keeps the tokens for which keeps(number(offset)); all must be in the kept arrays already.
    template <class Number, class Keep> void keep_where(Number number, Keep keeps) {
        const Offset offset(temperature, largest);
        Index kept = 0;
        for (Index i = 0; i < left.count; i += 16) {
            Doubles a, b;
            sixteen(left.score + i, left.count - i, a, b);
            double value[16];
            store(value, number(offset(a)));
            store(value + 8, number(offset(b)));
            const Index n = left.count - i < 16 ? left.count - i : 16;
            for (Index k = 0; k < n; k++) {
                kept_score[kept] = left.score[i + k];
                kept_token[kept] = left.token[i + k];
                kept += keeps(value[k]);
            }
        }
        leave(kept);
    }
};

}  // namespace
