// Rows of up to 64 classes, sixteen of them in the lanes of one vector, class by class.
// (Included by softmax.h, inside its namespace.)

// tile[k] holds class k of the sixteen rows, four classes at a time; the last four overlap where the number is no
// multiple of four. Where there are fewer than sixteen rows, in[] repeats one.
inline void load_tile(const float* const in[group_rows], long classes, float* tile) {
    if (classes < 4) {
        for (long k = 0; k < classes; k++)
            for (int r = 0; r < group_rows; r++) tile[k * 16 + r] = in[r][k];
        return;
    }
    for (long k = 0; k < classes; k += 4) {
        long at = k + 4 <= classes ? k : classes - 4;
        Floats columns[4];
        load_columns(in, at, columns);
        for (int c = 0; c < 4; c++) store(tile + (at + c) * 16, columns[c]);
    }
}
inline void store_tile(const float* tile, int rows, long classes, float* const out[group_rows]) {
    if (classes < 4) {
        for (int r = 0; r < rows; r++)
            for (long k = 0; k < classes; k++) out[r][k] = tile[k * 16 + r];
        return;
    }
    for (long k = 0; k < classes; k += 4) {
        long at = k + 4 <= classes ? k : classes - 4;
        Floats columns[4];
        for (int c = 0; c < 4; c++) columns[c] = load(tile + (at + c) * 16);
        store_columns(columns, out, at, rows);
    }
}

// Results of several groups, to be streamed out together in whole cache lines.
struct Staging {
    static constexpr long capacity = 4096;
    float* target = nullptr;
    long filled = 0;
    alignas(64) float values[capacity + 16];

    bool takes(const float* to, long n) const {
        return n <= capacity && (filled == 0 || (target + filled == to && filled + n <= capacity));
    }
    void flush() {
        if (filled) map<float>(values, target, filled, true, nullptr, [](auto&, long) {});
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

template <bool plain>
inline void share_lanes(const Exponential<float>& exponential, float* tile, long classes) {
    alignas(64) float excesses[short_row * 16];
    WideFloats wide;
    sum_lanes(classes, wide, [&](Accumulator<float>& sum, long k, auto& v) __attribute__((always_inline)) {
        constexpr int count = sizeof(v) / sizeof(v[0]);
        Floats value[count], excess[count];
        for (int i = 0; i < count; i++) v[i] = load(tile + (k + i) * 16);
        exponential.parts<plain>(v, value, excess);
        for (int i = 0; i < count; i++) {
            sum.add(value[i], excess[i]);
            store(tile + (k + i) * 16, value[i]);
            store(excesses + (k + i) * 16, excess[i]);
        }
    });
    const Doubles lift = broadcast(plain ? 1.0 : static_cast<double>(Lanes<float>::lift));
    Doubles first = lift / wide.first, second = lift / wide.second, a, b;
    Share<float> share;
    share.high = narrow(first, second);
    widen(share.high, a, b);
    share.low = narrow(first - a, second - b);
    for (long k = 0; k < classes; k++) {
        Floats value = load(tile + k * 16), excess = load(excesses + k * 16);
        store(tile + k * 16, plain ? share.plain(value, excess) : share.lowered(value, excess));
    }
    FloatsMask number = equal(share.high, share.high);
    if (count(number) < 16)
        for (long k = 0; k < classes; k++)
            store(tile + k * 16, select(number, load(tile + k * 16), broadcast(not_a_number<float>)));
}

inline void short_softmax(const Scale<float>& scale, const Exponential<float>& any, float* tile, long classes) {
    Floats top = load(tile), bottom = top, offset, power;
    for (long k = 1; k < classes; k++) {
        Floats x = load(tile + k * 16);
        top = maximum(top, x);
        bottom = minimum(bottom, x);
    }
    const Exponential<float> exponential = relative_to_lanes(scale, any, top, offset, power);
    Floats range = select(equal(offset, broadcast(0.0f)), (top - bottom) * any.high, broadcast(infinity<float>));
    bool plain = count(less(range, broadcast(static_cast<float>(plain_range)))) == 16;
    plain ? share_lanes<true>(exponential, tile, classes) : share_lanes<false>(exponential, tile, classes);
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

template <class T, class P>
inline T log_sum_of(const Task& task, const P& part, int r, const State& state, double log_total);

inline void short_group(const Task& task, const Scale<float>& scale, const Exponential<float>& exponential, const Part<float>& part,
                        Staging& staging) {
    alignas(64) float tile[short_row * 16];
    const float* in[group_rows];
    part.fetch(in);
    for (int r = part.rows; r < group_rows; r++) in[r] = in[0];
    load_tile(in, part.length, tile);
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
                State state = {tops[r], 0, 0, 0, 0, 0};
                if (!is_finite(tops[r]) || !is_finite(logs[r])) state = degenerate<float>(in[r], part.length, tops[r]);
                write_result(task, part.first_row + r, log_sum_of<float>(task, part, r, state, logs[r]));
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
    if (task.stream && part.rows == 16 && !task.where.data && part.one_behind_the_other(task.output)) {
        long n = 16 * part.length;
        float* to = reinterpret_cast<float*>(part.row_start(task.output, 0));
        if (!staging.takes(to, n)) staging.flush();
        for (int r = 0; r < 16; r++) out[r] = staging.values + staging.filled + r * part.length;
        if (!staging.filled) staging.target = to;
        store_tile(tile, 16, part.length, out);
        staging.filled += n;
        return;
    }
    part.targets(out);
    store_tile(tile, part.rows, part.length, out);
    part.commit(out, masked_value<float>(task));
}
