// Rows of up to some hundred classes, sixteen of them in the lanes of one vector, class by class: what is done once a row is
// done for sixteen. Two groups of very short rows go together: each is a chain of operations that wait for the last,
// and two chains overlap.
// (Included by softmax.h, inside its namespace.)

// tile + k * step holds class k of the sixteen rows, which begin `stride` bytes apart. Four classes are turned at a
// time; the last four overlap where the number is no multiple of four.
inline void load_tile(const char* in, ptrdiff_t stride, long classes, float* tile, long step) {
    if (classes < 4) {
        for (long k = 0; k < classes; k++)
            for (int r = 0; r < group_rows; r++) tile[k * step + r] = read<float>(in + r * stride + k * sizeof(float), false);
        return;
    }
    for (long k = 0; k < classes; k += 4) {
        long at = k + 4 <= classes ? k : classes - 4;
        Floats columns[4];
        load_columns(in + at * sizeof(float), stride, columns);
        for (int c = 0; c < 4; c++) store(tile + (at + c) * step, columns[c]);
    }
}
inline void store_tile(const float* tile, long step, long classes, char* out, ptrdiff_t stride) {
    if (classes < 4) {
        for (int r = 0; r < group_rows; r++)
            for (long k = 0; k < classes; k++) write(out + r * stride + k * sizeof(float), tile[k * step + r], false);
        return;
    }
    for (long k = 0; k < classes; k += 4) {
        long at = k + 4 <= classes ? k : classes - 4;
        Floats columns[4];
        for (int c = 0; c < 4; c++) columns[c] = load(tile + (at + c) * step);
        store_columns(columns, out + at * sizeof(float), stride);
    }
}

// The work on rows of so few classes hides that their output goes through the cache; staging it would not be hidden.
constexpr long unstaged_row = 16;

// Results of several groups, to be streamed out together in whole cache lines.
struct Staging {
    static constexpr long capacity = group_rows * short_loss;
    float* target = nullptr;
    long filled = 0;
    alignas(64) float values[capacity + 16];

    // Where n results for `to` are put; n is at most the capacity.
    char* room(float* to, long n) {
        if (filled && (target + filled != to || filled + n > capacity)) flush();
        if (!filled) target = to;
        filled += n;
        return reinterpret_cast<char*>(values + filled - n);
    }
    void flush() {
        if (filled) map<float>(values, target, filled, true, nullptr, 0, [](auto&, long) {});
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

template <int groups> constexpr long most_classes = groups == 1 ? short_row(Function::softmax) : paired_row;

// Sums over the classes, for each lane by itself; flushed after eight, the last up to sixteen together.
// step(group, sum, k, vectors) takes as many classes as there are in the array of vectors.
template <int groups, class Step>
inline __attribute__((always_inline)) void sum_lanes(long classes, WideFloats (&wide)[groups], Step step) {
    Accumulator<float> sum[groups];
    for (long k = 0; k < classes;) {
        long until = k + 16 < classes ? k + 8 : classes;
        for (; k + interleaved <= until; k += interleaved)
            for (int g = 0; g < groups; g++) {
                Floats v[interleaved];
                step(g, sum[g], k, v);
            }
        for (; k < until; k++)
            for (int g = 0; g < groups; g++) {
                Floats v[1];
                step(g, sum[g], k, v);
            }
        for (int g = 0; g < groups; g++) sum[g].flush(wide[g]);
    }
}

template <bool plain, int groups>
inline void share_lanes(const Exponential<float> (&exponential)[groups], float* tile, long classes) {
    constexpr long step = groups * 16;
    alignas(64) float excesses[most_classes<groups> * step];
    WideFloats wide[groups];
    sum_lanes(classes, wide, [&](int g, Accumulator<float>& sum, long k, auto& v) __attribute__((always_inline)) {
        constexpr int count = sizeof(v) / sizeof(v[0]);
        Floats value[count], excess[count];
        for (int i = 0; i < count; i++) v[i] = load(tile + (k + i) * step + g * 16);
        exponential[g].template parts<plain>(v, value, excess);
        for (int i = 0; i < count; i++) {
            sum.add(value[i], excess[i]);
            store(tile + (k + i) * step + g * 16, value[i]);
            store(excesses + (k + i) * step + g * 16, excess[i]);
        }
    });
    const Doubles lift = broadcast(plain ? 1.0 : static_cast<double>(Lanes<float>::lift));
    Share<float, plain> share[groups];
    bool numbers = true;
    for (int g = 0; g < groups; g++) {
        Doubles first = lift / wide[g].first, second = lift / wide[g].second, a, b;
        share[g].high = narrow(first, second);
        widen(share[g].high, a, b);
        share[g].low = narrow(first - a, second - b);
        numbers &= count(equal(share[g].high, share[g].high)) == 16;
    }
    for (long k = 0; k < classes; k++)
        for (int g = 0; g < groups; g++) {
            float* at = tile + k * step + g * 16;
            Floats value = load(at), excess = load(excesses + k * step + g * 16);
            store(at, share[g].of(value, excess));
        }
    if (numbers) return;
    for (long k = 0; k < classes; k++)
        for (int g = 0; g < groups; g++) {
            float* at = tile + k * step + g * 16;
            store(at, select(equal(share[g].high, share[g].high), load(at), broadcast(not_a_number<float>)));
        }
}

template <int groups>
inline void short_softmax(const Scale<float>& scale, const Exponential<float>& any, float* tile, long classes) {
    Floats top[groups], bottom[groups];
    for (int g = 0; g < groups; g++) top[g] = bottom[g] = load(tile + g * 16);
    for (long k = 1; k < classes; k++)
        for (int g = 0; g < groups; g++) {
            Floats x = load(tile + (k * groups + g) * 16);
            top[g] = maximum(top[g], x);
            bottom[g] = minimum(bottom[g], x);
        }
    Exponential<float> exponential[groups];
    bool plain = true;
    for (int g = 0; g < groups; g++) {
        Floats offset, power;
        exponential[g] = relative_to_lanes(scale, any, top[g], offset, power);
        Floats range = select(equal(offset, broadcast(0.0f)), (top[g] - bottom[g]) * any.high, broadcast(infinity<float>));
        plain &= count(less(range, broadcast(static_cast<float>(plain_range)))) == 16;
    }
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

// The maximum of each row and the sum of the others, relative to it. keep(value, excess, k) may store the parts of the
// exponentials: times `shift` they are relative to the maximum too.
struct ShortTotals {
    Floats top;
    Doubles shift[2], others[2];
};
template <class Keep>
inline ShortTotals short_totals(const Scale<float>& scale, const Exponential<float>& any, const float* tile, long classes, Keep keep) {
    const Floats nothing = broadcast(-infinity<float>), zero = broadcast(0.0f), one = broadcast(1.0f);
    Floats second = nothing, ties = zero, offset, power, top = nothing;
    for (long k = 0; k < classes; k++) {
        Floats x = load(tile + k * 16);
        second = maximum(second, minimum(top, x));
        top = maximum(top, x);
    }
    const Exponential<float> exponential =
        relative_to_lanes(scale, any, select(less(nothing, second), second, top), offset, power);
    WideFloats wide[1];
    sum_lanes(classes, wide, [&](int, Accumulator<float>& sum, long k, auto& v) __attribute__((always_inline)) {
        constexpr int count = sizeof(v) / sizeof(v[0]);
        Floats value[count], excess[count];
        for (int i = 0; i < count; i++) {
            Floats x = load(tile + (k + i) * 16);
            FloatsMask is_top = equal(x, top);
            ties = ties + select(is_top, one, zero);
            v[i] = select(is_top, nothing, x);
        }
        exponential.parts<false>(v, value, excess);
        for (int i = 0; i < count; i++) {
            sum.add(value[i], excess[i]);
            keep(value[i], excess[i], k + i);
        }
    });
    FloatsMask alone = equal(second, nothing);
    Doubles tops[2], offsets[2], powers[2], tied[2], lonely[2];
    widen(top, tops[0], tops[1]);
    widen(offset, offsets[0], offsets[1]);
    widen(power, powers[0], powers[1]);
    widen(ties - one, tied[0], tied[1]);
    widen(select(alone, zero, one), lonely[0], lonely[1]);
    const Doubles sums[2] = {wide[0].first, wide[0].second};
    ShortTotals totals;
    totals.top = top;
    for (int h = 0; h < 2; h++) {
        const Doubles ratio = ratio_lanes(scale, offsets[h], tops[h], powers[h]) * broadcast(1 / static_cast<double>(Lanes<float>::bias));
        totals.shift[h] = ratio * lonely[h];
        totals.others[h] = fma(sums[h] * ratio, lonely[h], tied[h]);
    }
    return totals;
}

template <class T, class P>
inline T log_sum(const Task& task, const P& part, int r, const State& state, double log_total);

// Where a group has fewer than sixteen rows, copies of them, whole vectors each, are filled up with zeros.
constexpr long most_copied = group_rows * short_loss * sizeof(float);
inline ptrdiff_t copied_stride(long classes) { return (classes + 15) / 16 * 16 * static_cast<ptrdiff_t>(sizeof(float)); }

inline void load_short(const Part<float>& part, float* tile, long step) {
    char* first;
    ptrdiff_t stride;
    if (part.rows == group_rows && part.in_place(part.task.input, first, stride))
        return load_tile(first, stride, part.length, tile, step);
    if (part.in_columns(part.task.input, first, stride)) {
        for (long k = 0; k < part.length; k++) store(tile + k * step, load(reinterpret_cast<const float*>(first + k * stride)));
        return;
    }
    const float* in[group_rows];
    part.fetch(in);
    if (part.rows == group_rows)
        return load_tile(reinterpret_cast<const char*>(in[0]), (in[1] - in[0]) * sizeof(float), part.length, tile, step);
    char copies[most_copied];
    stride = copied_stride(part.length);
    memset(copies, 0, group_rows * stride);
    for (int r = 0; r < part.rows; r++) memcpy(copies + r * stride, in[r], part.length * sizeof(float));
    load_tile(copies, stride, part.length, tile, step);
}
// Sixteen rows to where they lie.
inline void store_rows(const Task& task, const float* tile, long step, char* first, ptrdiff_t stride, Staging& staging) {
    const ptrdiff_t packed = task.classes * static_cast<ptrdiff_t>(sizeof(float));
    if (!task.stream || stride != packed || task.classes <= unstaged_row)
        return store_tile(tile, step, task.classes, first, stride);
    store_tile(tile, step, task.classes, staging.room(reinterpret_cast<float*>(first), group_rows * task.classes), packed);
}
inline void store_short(const Task& task, const Part<float>& part, const float* tile, long step, float masked,
                        Staging& staging) {
    const ptrdiff_t packed = part.length * static_cast<ptrdiff_t>(sizeof(float));
    char* first;
    ptrdiff_t stride;
    if (part.rows == group_rows && !task.where.data && part.in_place(task.output, first, stride))
        return store_rows(task, tile, step, first, stride, staging);
    if (!task.where.data && part.in_columns(task.output, first, stride)) {
        const bool whole_lines = task.stream && (reinterpret_cast<uintptr_t>(first) | static_cast<uintptr_t>(stride)) % 64 == 0;
        for (long k = 0; k < part.length; k++) {
            float* at = reinterpret_cast<float*>(first + k * stride);
            whole_lines ? stream(at, load(tile + k * step)) : store(at, load(tile + k * step));
        }
        return;
    }
    float* out[group_rows];
    part.targets(out);
    first = reinterpret_cast<char*>(out[0]);
    if (part.rows == group_rows) {
        store_tile(tile, step, part.length, first, reinterpret_cast<char*>(out[1]) - first);
    } else {
        char copies[most_copied];
        stride = copied_stride(part.length);
        store_tile(tile, step, part.length, copies, stride);
        for (int r = 0; r < part.rows; r++) memcpy(out[r], copies + r * stride, packed);
    }
    part.commit(out, masked);
}

// A group is fetched and committed by itself: they share one buffer.
template <int groups>
inline void short_softmax_groups(const Task& task, const Scale<float>& scale, const Exponential<float>& exponential,
                                 const Part<float> (&parts)[groups], Staging& staging) {
    alignas(64) float tile[most_classes<groups> * groups * 16];
    for (int g = 0; g < groups; g++) load_short(parts[g], tile + g * 16, groups * 16);
    short_softmax<groups>(scale, exponential, tile, task.classes);
    for (int g = 0; g < groups; g++) store_short(task, parts[g], tile + g * 16, groups * 16, 0, staging);
}

// Whole groups of rows that lie where they are read and written, all `stride` bytes apart, two at a time: finding each
// of them anew would be a tenth of the work on ten classes. Returns the first that is not done.
inline long plain_pairs(const Task& task, const Scale<float>& scale, const Exponential<float>& exponential, long first, long last,
                        Staging& staging) {
    const Operand &input = task.input, &output = task.output;
    if (task.outer.count > 1 || task.lead || task.where.data || !Part<float>::direct(input, task.inner) ||
        !Part<float>::direct(output, task.inner)) return first;
    const ptrdiff_t from = input.outer[0], to = output.outer[0];
    alignas(64) float tile[paired_row * 2 * group_rows];
    for (; first + 2 <= last && (first + 2) * group_rows <= task.rows; first += 2) {
        const long row = first * group_rows;
        for (int g = 0; g < 2; g++)
            load_tile(input.data + (row + g * group_rows) * from, from, task.classes, tile + g * group_rows, 2 * group_rows);
        short_softmax<2>(scale, exponential, tile, task.classes);
        for (int g = 0; g < 2; g++)
            store_rows(task, tile + g * group_rows, 2 * group_rows, output.data + (row + g * group_rows) * to, to, staging);
    }
    return first;
}

inline void short_log_group(const Task& task, const Scale<float>& scale, const Exponential<float>& exponential, const Part<float>& part,
                            Staging& staging) {
    alignas(64) float tile[short_row(Function::logsumexp) * 16];
    load_short(part, tile, 16);
    const ShortTotals totals = short_totals(scale, exponential, tile, part.length, Nothing());
    const Floats top = totals.top;
    Doubles log_total[2] = {log1p(totals.others[0]), log1p(totals.others[1])}, low, high;
    float tops[16];
    double logs[16];
    store(tops, top);
    store(logs, log_total[0]);
    store(logs + 8, log_total[1]);
    if (task.function == Function::logsumexp) {
        for (int r = 0; r < part.rows; r++) {
            State state = empty_state;
            state.maximum = tops[r];
            if (!is_finite(tops[r]) || !is_finite(logs[r])) {
                float row[short_row(Function::logsumexp)];
                for (long k = 0; k < part.length; k++) row[k] = tile[k * 16 + r];
                state = degenerate<float>(row, part.length, tops[r]);
            }
            write_result(task, part.first_row + r, log_sum<float>(task, part, r, state, logs[r]));
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
    store_short(task, part, tile, 16, -infinity<float>, staging);
}
