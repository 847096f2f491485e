#include "resampling.h"

namespace softmaxlib {
namespace {

// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): its output function
// of a counter.
uint64_t mixed(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}
constexpr uint64_t step = 0x9E3779B97F4A7C15u;

}  // namespace

void draw_with_replacement(uint64_t seed, uint64_t resample, uint32_t things, uint32_t* counts) {
    // an origin of its own for each resample: two of them overlap with a chance of some 2^-40
    uint64_t state = mixed(mixed(seed + step) + (resample + 1) * step);
    // the upper half of a product of 32 random bits: a thing is likelier than another by 2^-32 * things at most
    const auto draw = [&](uint64_t bits) { counts[bits * things >> 32]++; };
    for (uint32_t i = 0; i + 1 < things; i += 2) {
        const uint64_t bits = mixed(state += step);
        draw(bits & 0xFFFFFFFFu);
        draw(bits >> 32);
    }
    if (things % 2) draw(mixed(state += step) >> 32);
}

double sum_of_drawn(const uint32_t* counts, const double* numbers, uint32_t things) {
    constexpr uint32_t width = 8;  // sums that go on side by side
    double sums[width] = {};
    uint32_t i = 0;
    for (; i + width <= things; i += width)
        for (uint32_t lane = 0; lane < width; lane++)
            sums[lane] += static_cast<double>(static_cast<int32_t>(counts[i + lane])) * numbers[i + lane];
    for (; i < things; i++) sums[i % width] += static_cast<double>(counts[i]) * numbers[i];
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

}  // namespace softmaxlib
