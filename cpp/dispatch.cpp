#include "dispatch.h"

#include <cstdlib>
#include <stdexcept>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define DECLARE(isa)                                                                                                   \
    extern "C" const softmaxlib::KernelTable softmaxlib_kernels_##isa;                                                 \
    extern "C" const softmaxlib::DecisionTable softmaxlib_decisions_##isa;
#define TABLES(isa) &softmaxlib_kernels_##isa, &softmaxlib_decisions_##isa
DECLARE(portable)
#if defined(__x86_64__)
DECLARE(avx2)
DECLARE(avx512)
#elif defined(__aarch64__)
DECLARE(neon)
#endif
#undef DECLARE

namespace softmaxlib {
namespace {

bool always() { return true; }

#if defined(__x86_64__)
bool has_avx2() {
    unsigned a, b, c, d;
    bool half_floats = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
    return half_floats && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
bool has_avx512() {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

std::string supported_names() {
    std::string names;
    for (const InstructionSet& set : instruction_sets())
        if (set.supported()) names += (names.empty() ? "" : ", ") + std::string(set.name);
    return names;
}

const InstructionSet* choose() {
    const char* wanted = std::getenv("SOFTMAXLIB_ISA");
    for (const InstructionSet& set : instruction_sets()) {
        bool named = wanted == nullptr || *wanted == 0 || std::string(wanted) == set.name;
        if (named && set.supported()) return &set;
    }
    throw std::invalid_argument("SOFTMAXLIB_ISA must name an instruction set that this machine has (" +
                                supported_names() + "), got '" + std::string(wanted) +
                                "'; unset it to let the best one be chosen");
}

}  // namespace

const std::vector<InstructionSet>& instruction_sets() {
    static const std::vector<InstructionSet> sets = {
#if defined(__x86_64__)
        {"avx512", "AVX-512 F, BW, DQ, VL", has_avx512, TABLES(avx512)},
        {"avx2", "AVX2, FMA, F16C", has_avx2, TABLES(avx2)},
#elif defined(__aarch64__)
        {"neon", "AArch64 Advanced SIMD", always, TABLES(neon)},
#endif
        {"portable", "nothing", always, TABLES(portable)},
    };
    return sets;
}

const InstructionSet& chosen_instruction_set() {
    static const InstructionSet* const chosen = choose();
    return *chosen;
}

}  // namespace softmaxlib
