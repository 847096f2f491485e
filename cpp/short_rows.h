// Rows of up to 64 classes, sixteen of them in the lanes of one vector, class by class.
// (Included by softmax.h, inside its namespace.)

// tile[k] holds class k of the sixteen rows. Rows that lie one behind the other with more behind them are read in
// whole vectors: what is too much belongs to the next row.
inline void load_tile(const float* const in[group_rows], int rows, long classes, bool more_behind, float* tile) {
    for (long k = 0; k < classes; k += 16) {
        int here = classes - k < 16 ? static_cast<int>(classes - k) : 16;
        Floats block[16];
        if (rows == 16 && (here == 16 || more_behind)) {
            for (int r = 0; r < 16; r++) block[r] = load(in[r] + k);
        } else {
            for (int r = 0; r < 16; r++) block[r] = r < rows ? load_partial(in[r] + k, here, 0.0f) : broadcast(0.0f);
        }
        transpose(block);
        for (int i = 0; i < here; i++) store(tile + (k + i) * 16, block[i]);
    }
}
// The last, cut-off block comes first: what it writes too much is the start of the next row, which comes after.
inline void store_tile(const float* tile, int rows, long classes, bool spill, float* const out[group_rows]) {
    for (long k = (classes - 1) / 16 * 16; k >= 0; k -= 16) {
        int here = classes - k < 16 ? static_cast<int>(classes - k) : 16;
        Floats block[16];
        for (int i = 0; i < 16; i++) block[i] = i < here ? load(tile + (k + i) * 16) : broadcast(0.0f);
        transpose(block);
        for (int r = 0; r < rows; r++)
            here == 16 || spill ? store(out[r] + k, block[r]) : store_partial(out[r] + k, block[r], here);
    }
}

// Results of several groups, written out together in whole cache lines.
struct Staging {
    static constexpr long capacity = 4096;
    float* target = nullptr;
    long filled = 0;
    alignas(64) float values[capacity + 16];

    bool takes(const float* to, long n) const {
        return n <= capacity && (filled == 0 || (target + filled == to && filled + n <= capacity));
    }
    void flush(bool streamed) {
        if (filled) map(values, target, filled, streamed, 0, [](auto&, long) {});
        filled = 0;
    }
};

// As reference(), for sixteen rows at once. A row of infinities or NaN gets NaN.
inline Exponential<float> relative_to_lanes(const Scale<float>& scale, Exponential<float> exponential, Floats maximum,
                                            Floats& offset, Floats& power) {
    const Floats zero = broadcast(0.0f), integer = broadcast(0x1.8p23f);
    Floats exponent = maximum * exponential.high;
    FloatsMask moderate = less(absolute(exponent), broadcast(65536.0f));
    offset = select(moderate, zero, maximum);
    power = select(moderate, (exponent + integer) - integer, zero);
    exponential.offset = offset;
    exponential.magic = broadcast(Lanes<float>::magic) - power;
    exponential.least = (power + broadcast(Lanes<float>::least)) * broadcast(static_cast<float>(scale.inverse));
    return exponential;
}

// Sums over the classes, for each lane by itself; flushed after eight. step(sum, k, vectors) takes as many classes
// as there are in the array of vectors.
template <class Step> inline __attribute__((always_inline)) void sum_lanes(long classes, WideFloats& wide, Step step) {
    Accumulator<float> sum;
    for (long k = 0; k < classes;) {
        long until = k + 8 < classes ? k + 8 : classes;
        for (; k + interleaved <= until; k += interleaved) {
            Floats v[interleaved];
            step(sum, k, v);
        }
        for (; k < until; k++) {
            Floats v[1];
            step(sum, k, v);
        }
        sum.flush(wide);
    }
}

inline void short_softmax(const Scale<float>& scale, const Exponential<float>& any, float* tile, long classes) {
    alignas(64) float excesses[short_row * 16];
    Floats top = load(tile), offset, power;
    for (long k = 1; k < classes; k++) top = maximum(top, load(tile + k * 16));
    const Exponential<float> exponential = relative_to_lanes(scale, any, top, offset, power);
    WideFloats wide;
    sum_lanes(classes, wide, [&](Accumulator<float>& sum, long k, auto& v) __attribute__((always_inline)) {
        constexpr int count = sizeof(v) / sizeof(v[0]);
        Floats value[count], excess[count];
        for (int i = 0; i < count; i++) v[i] = load(tile + (k + i) * 16);
        exponential.parts<false>(v, value, excess);
        for (int i = 0; i < count; i++) {
            sum.add(value[i], excess[i]);
            store(tile + (k + i) * 16, value[i]);
            store(excesses + (k + i) * 16, excess[i]);
        }
    });
    const Doubles lift = broadcast(static_cast<double>(Lanes<float>::lift));
    Doubles first = lift / wide.first, second = lift / wide.second, a, b;
    Share<float> share;
    share.high = narrow(first, second);
    widen(share.high, a, b);
    share.low = narrow(first - a, second - b);
    for (long k = 0; k < classes; k++) store(tile + k * 16, share.lowered(load(tile + k * 16), load(excesses + k * 16)));
    FloatsMask number = equal(share.high, share.high);
    if (count(number) < 16)
        for (long k = 0; k < classes; k++)
            store(tile + k * 16, select(number, load(tile + k * 16), broadcast(not_a_number<float>)));
}

// 2^(c (offset - maximum) + power) for eight rows, the exponent in two parts.
inline Doubles ratio_lanes(const Scale<float>& scale, Doubles offset, Doubles maximum, Doubles power) {
    Doubles difference = offset - maximum, c = broadcast(scale.high);
    Doubles product = difference * c;
    Doubles rest = fma(difference, broadcast(scale.low), fms(difference, c, product));
    Doubles sum = product + power, part = sum - product;
    Doubles result = exp2(sum, ((product - (sum - part)) + (power - part)) + rest);
    return select(less(sum, broadcast(-1080.0)), broadcast(0.0), result);
}

// The maximum and log(1 + sum of the others) of each row.
inline void short_log_totals(const Scale<float>& scale, const Exponential<float>& any, const float* tile, long classes,
                             Floats& top, Doubles log_total[2]) {
    const Floats nothing = broadcast(-infinity<float>), zero = broadcast(0.0f), one = broadcast(1.0f);
    Floats second = nothing, ties = zero, offset, power;
    top = nothing;
    for (long k = 0; k < classes; k++) {
        Floats x = load(tile + k * 16);
        second = maximum(second, minimum(top, x));
        top = maximum(top, x);
    }
    const Exponential<float> exponential =
        relative_to_lanes(scale, any, select(less(nothing, second), second, top), offset, power);
    WideFloats wide;
    sum_lanes(classes, wide, [&](Accumulator<float>& sum, long k, auto& v) __attribute__((always_inline)) {
        constexpr int count = sizeof(v) / sizeof(v[0]);
        Floats value[count], excess[count];
        for (int i = 0; i < count; i++) {
            Floats x = load(tile + (k + i) * 16);
            FloatsMask is_top = equal(x, top);
            ties = ties + select(is_top, one, zero);
            v[i] = select(is_top, nothing, x);
        }
        exponential.parts<false>(v, value, excess);
        for (int i = 0; i < count; i++) sum.add(value[i], excess[i]);
    });
    FloatsMask alone = equal(second, nothing);
    Doubles tops[2], offsets[2], powers[2], tied[2], lonely[2];
    widen(top, tops[0], tops[1]);
    widen(offset, offsets[0], offsets[1]);
    widen(power, powers[0], powers[1]);
    widen(ties - one, tied[0], tied[1]);
    widen(select(alone, zero, one), lonely[0], lonely[1]);
    Doubles sums[2] = {wide.first, wide.second};
    for (int h = 0; h < 2; h++) {
        Doubles others = sums[h] * broadcast(1 / static_cast<double>(Lanes<float>::bias));
        others = others * ratio_lanes(scale, offsets[h], tops[h], powers[h]);
        log_total[h] = log1p(fma(others, lonely[h], tied[h]));
    }
}

template <class T>
inline T log_sum_of(const Task& task, const Part<T>& part, int r, const State& state, double log_total);

inline void short_group(const Task& task, const Scale<float>& scale, const Exponential<float>& exponential, const Part<float>& part,
                        Staging& staging) {
    alignas(64) float tile[short_row * 16];
    const float* in[group_rows];
    long valid[group_rows];
    part.fetch(in, valid);
    bool behind = part.rows == 16 && part.one_behind_the_other(task.input) && part.first_row + 16 < task.rows;
    for (int r = 0; r < 16 && behind; r += 4) prefetch(in[r] + 32 * part.length);
    load_tile(in, part.rows, part.length, behind, tile);
    float* out[group_rows];
    if (task.function == Function::softmax) {
        short_softmax(scale, exponential, tile, part.length);
    } else {
        Floats top;
        Doubles log_total[2], low, high;
        short_log_totals(scale, exponential, tile, part.length, top, log_total);
        float tops[16];
        double logs[16];
        store(tops, top);
        store(logs, log_total[0]);
        store(logs + 8, log_total[1]);
        if (task.function == Function::logsumexp) {
            for (int r = 0; r < part.rows; r++) {
                State state = {tops[r], 0, 0, 0, 0, 0, valid[r]};
                if (!is_finite(tops[r]) || !is_finite(logs[r])) state = degenerate(in[r], part.length, tops[r]);
                write_result(task, part.first_row + r, log_sum_of(task, part, r, state, logs[r]));
            }
            return;
        }
        Doubles tops_low, tops_high, slope = broadcast(1 / task.temperature);
        widen(top, tops_low, tops_high);
        for (long k = 0; k < part.length; k++) {
            widen(load(tile + k * 16), low, high);
            store(tile + k * 16, narrow(fms(low - tops_low, slope, log_total[0]), fms(high - tops_high, slope, log_total[1])));
        }
        for (int r = 0; r < part.rows; r++)
            if (!is_finite(tops[r]) || !is_finite(logs[r]))
                for (long k = 0; k < part.length; k++) tile[k * 16 + r] = not_a_number<float>;
    }
    if (part.rows == 16 && !task.where.data && part.one_behind_the_other(task.output)) {
        long n = 16 * part.length;
        float* to = reinterpret_cast<float*>(part.row_start(task.output, 0));
        if (!staging.takes(to, n)) staging.flush(task.stream);
        for (int r = 0; r < 16; r++) out[r] = staging.values + staging.filled + r * part.length;
        if (!staging.filled) staging.target = to;
        store_tile(tile, 16, part.length, true, out);
        staging.filled += n;
        return;
    }
    part.targets(out);
    store_tile(tile, part.rows, part.length, false, out);
    part.commit(out, masked_value<float>(task));
}
