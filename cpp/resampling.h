// How often each of some things is drawn, in as many draws with replacement: what a bootstrap needs of chance.
#pragma once

#include <cstddef>
#include <cstdint>

namespace softmaxlib {

// Adds one resample's draws to counts[things], 0 to begin with. The same (seed, resample) draws the same things on
// every machine, in any order of the resamples.
void draw_with_replacement(uint64_t seed, uint64_t resample, uint32_t things, uint32_t* counts);

// The sum of the things' numbers, each as often as it was drawn: fewer than 2^31 times.
double sum_of_drawn(const uint32_t* counts, const double* numbers, uint32_t things);

}  // namespace softmaxlib
