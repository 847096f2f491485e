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

}  // namespace softmaxlib
