#include "ranks.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "order.h"
#include "threads.h"

namespace softmaxlib {
namespace {

constexpr size_t unmarked = ~size_t{0};
constexpr size_t segments = size_t{1} << 12;
constexpr size_t samples = segments;
constexpr size_t buckets_of_sample = 4;  // and up to twice as many, because a segment has a power of two
constexpr size_t most_buckets = 2 * buckets_of_sample * samples + segments;
static_assert(most_buckets <= size_t{1} << 16, "the number of a bucket has sixteen bits");
constexpr size_t parts = 4;  // a fixed number, so that no sum depends on the threads
constexpr size_t least_parted = size_t{1} << 16;

struct Bucket {
    size_t rows = 0;
    double sum = 0;
};

// Cuts the ranks from the lowest to the highest into buckets of about as many rows. Even segments of the range are cut
// further, by a sample of the rows.
class Buckets {
    struct Segment {
        uint32_t first = 0, shift = 0;
    };
    uint64_t lowest_ = 0;
    int segment_shift_ = 0;
    std::vector<Segment> segment_;

  public:
    Buckets() = default;
    Buckets(const RankedRows& rows, uint64_t lowest, uint64_t highest) : lowest_(lowest), segment_(segments) {
        while ((highest - lowest) >> segment_shift_ >= segments) segment_shift_++;
        std::vector<size_t> sampled(segments);
        const size_t stride = std::max<size_t>(1, rows.count / samples);
        for (size_t i = 0, taken = 0; i < rows.count && taken < samples; i += stride, taken++)
            sampled[(rank_of(rows.value[i]) - lowest) >> segment_shift_]++;
        uint32_t first = 0;
        for (size_t s = 0; s < segments; s++) {
            uint32_t bits = 0;
            while (static_cast<int>(bits) < segment_shift_ && size_t{1} << bits < buckets_of_sample * sampled[s])
                bits++;
            segment_[s] = {first, static_cast<uint32_t>(segment_shift_) - bits};
            first += uint32_t{1} << bits;
        }
    }
    uint16_t of(double value) const {
        const uint64_t above = rank_of(value) - lowest_;
        const Segment segment = segment_[above >> segment_shift_];
        const uint64_t bucket = segment.first + ((above & ((uint64_t{1} << segment_shift_) - 1)) >> segment.shift);
        return static_cast<uint16_t>(bucket);
    }
};

// Parts of the rows, each with its own buckets.
struct PartedRows {
    const RankedRows& rows;
    size_t rows_per_part;
    uint64_t lowest[parts], highest[parts];
    Buckets bucket_of;
    std::unique_ptr<uint16_t[]> bucket;  // of each row
    std::vector<Bucket> buckets;
    std::vector<size_t> place;          // by part and bucket: where rows that are collected go
    std::unique_ptr<size_t[]> members;  // these rows, bucket by bucket, in the order of their places

    PartedRows(const RankedRows& r, int threads)
        : rows(r), rows_per_part(r.count < least_parted ? r.count : (r.count + parts - 1) / parts),
          bucket(new uint16_t[r.count]), buckets(parts * most_buckets), place(parts * most_buckets, unmarked) {
        each_part<&PartedRows::find_range>(threads);
        bucket_of =
            Buckets(rows, *std::min_element(lowest, lowest + parts), *std::max_element(highest, highest + parts));
        each_part<&PartedRows::fill_buckets>(threads);
    }
    size_t first_of(size_t part) const { return std::min(rows.count, part * rows_per_part); }

    template <void (PartedRows::*work)(size_t part)> void each_part(int threads) {
        const auto unit = [](void* context, Index part, void*) {
            (static_cast<PartedRows*>(context)->*work)(static_cast<size_t>(part));
        };
        run({unit, this, static_cast<Index>(parts), false, nullptr}, rows.count < least_parted ? 1 : threads,
            Crew::own);
    }
    void find_range(size_t part) {
        uint64_t low = ~uint64_t{0}, high = 0;
        for (size_t i = first_of(part); i < first_of(part + 1); i++) {
            const uint64_t rank = rank_of(rows.value[i]);
            low = std::min(low, rank);
            high = std::max(high, rank);
        }
        lowest[part] = low;
        highest[part] = high;
    }
    void fill_buckets(size_t part) {
        Bucket* own = buckets.data() + part * most_buckets;
        for (size_t i = first_of(part); i < first_of(part + 1); i++) {
            Bucket& to = own[bucket[i] = bucket_of.of(rows.value[i])];
            to.rows++;
            to.sum += rows.column[i];
        }
    }
    void collect(size_t part) {
        size_t* own = place.data() + part * most_buckets;
        for (size_t i = first_of(part); i < first_of(part + 1); i++) {
            size_t& at = own[bucket[i]];
            if (at != unmarked) members[at++] = i;
        }
    }
    // All parts' rows of a bucket.
    Bucket whole(size_t bucket) const {
        Bucket sum;
        for (size_t part = 0; part < parts; part++) {
            sum.rows += buckets[part * most_buckets + bucket].rows;
            sum.sum += buckets[part * most_buckets + bucket].sum;
        }
        return sum;
    }
    // The rows of this bucket are collected, from `first` on.
    void mark(size_t bucket, size_t first) {
        for (size_t part = 0; part < parts; part++) {
            place[part * most_buckets + bucket] = first;
            first += buckets[part * most_buckets + bucket].rows;
        }
    }
};

// The rows of one bucket in rising order.
struct Sorted {
    static constexpr size_t few = 1024;  // fewer are sorted by comparisons
    std::vector<double> value, number;

    Sorted(const RankedRows& rows, const size_t* places, size_t count) : value(count), number(count) {
        std::vector<double> given(count);
        std::vector<int64_t> order(count);
        for (size_t i = 0; i < count; i++) given[i] = rows.value[places[i]];
        if (count < few) by_comparisons(given, order);
        else rising_order(given.data(), count, order.data());
        for (size_t i = 0; i < count; i++) {
            const size_t at = static_cast<size_t>(order[i]);
            value[i] = given[at];
            number[i] = rows.column[places[at]];
        }
    }
    static void by_comparisons(const std::vector<double>& given, std::vector<int64_t>& order) {
        std::pair<uint64_t, int64_t> keys[few];
        for (size_t i = 0; i < given.size(); i++) keys[i] = {rank_of(given[i]), static_cast<int64_t>(i)};
        std::sort(keys, keys + given.size());
        for (size_t i = 0; i < given.size(); i++) order[i] = keys[i].second;
    }
};

}  // namespace

size_t sum_to_ranks(const RankedRows& rows, const int64_t* ranks, size_t count, bool whole_ties, const RankSums& sums,
                    int threads) {
    PartedRows parted(rows, threads);
    std::vector<Bucket> buckets(most_buckets);
    std::vector<size_t> first(most_buckets, unmarked);  // of the members of a bucket that has a rank
    size_t different = 0, before = 0, collected = 0, next = 0;
    for (size_t b = 0; b < most_buckets; b++) {
        buckets[b] = parted.whole(b);
        different += buckets[b].rows > 0;
        before += buckets[b].rows;
        if (next == count || static_cast<size_t>(ranks[next]) >= before) continue;
        parted.mark(b, first[b] = collected);
        collected += buckets[b].rows;
        while (next < count && static_cast<size_t>(ranks[next]) < before) next++;
    }
    parted.members.reset(new size_t[collected]);
    parted.each_part<&PartedRows::collect>(threads);
    before = next = 0;
    double sum = 0;
    for (size_t b = 0; b < most_buckets && next < count; b++) {
        if (first[b] != unmarked) {
            const Sorted sorted(rows, parted.members.get() + first[b], buckets[b].rows);
            double within = sum;
            size_t taken = 0;
            for (; next < count && static_cast<size_t>(ranks[next]) < before + buckets[b].rows; next++) {
                const size_t rank = static_cast<size_t>(ranks[next]) - before;
                const auto take = [&] { within += sorted.number[taken++]; };
                while (taken <= rank) take();
                while (whole_ties && taken < sorted.value.size() && sorted.value[taken] == sorted.value[rank]) take();
                sums.value[next] = sorted.value[rank];
                sums.rows[next] = static_cast<int64_t>(before + taken);
                sums.sum[next] = within;
            }
        }
        before += buckets[b].rows;
        sum += buckets[b].sum;
    }
    return different;
}

}  // namespace softmaxlib
