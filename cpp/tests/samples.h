// Tokens drawn from fixed rows, after every filter and several of them: the same on any number of threads.
#pragma once

#include <memory>

#include "matrix.h"

namespace driver {

struct Setting {
    Filter filter;
    double parameter;
};
// Pairs of filters from these, in either order, and each alone.
constexpr Setting settings[] = {{Filter::temperature, 0.7}, {Filter::top_k, 12},      {Filter::top_p, 0.9},
                                {Filter::min_p, 0.02},      {Filter::typical_p, 0.8}, {Filter::top_n_sigma, 1.5}};

template <class T> struct Sampling {
    static constexpr Index draws = 9, rows = 3;  // three draws from each row
    Index vocabulary;
    std::vector<T> logits;
    std::vector<int64_t> source;
    std::vector<uint64_t> seed;
    std::vector<uint32_t> position;

    explicit Sampling(Index n) : vocabulary(n) {
        const DType type = sizeof(T) == 8 ? DType::float64 : DType::float32;
        for (Index r = 0; r < rows; r++) {
            Random random(static_cast<uint64_t>(r * 1000003 + n));
            RowMaker row(random, type, true);
            for (Index c = 0; c < n; c++)
                logits.push_back(static_cast<T>(decode(type, encode(type, row.next(c == n / 2)))));
        }
        for (Index d = 0; d < draws; d++) {
            source.push_back(d % rows);
            seed.push_back(static_cast<uint64_t>(d) * 0x9e3779b97f4a7c15ull);
            position.push_back(static_cast<uint32_t>(d * d));
        }
    }

    // Token, and the bits of both logarithms, of each draw; what cannot be sampled from is left out.
    std::vector<uint64_t> draw(const std::vector<Setting>& chain, int threads) const {
        std::vector<Filter> filters;
        std::vector<double> parameters;
        for (const Setting& one : chain) {
            filters.push_back(one.filter);
            parameters.insert(parameters.end(), draws, one.parameter);
        }
        std::vector<int64_t> token(draws);
        std::vector<T> logprob(draws), processed(draws);
        std::vector<char> drawn(draws);
        const SampleTask task = {logits.data(),   sizeof(T) == 8,    vocabulary,
                                 draws,           source.data(),     static_cast<int>(chain.size()),
                                 filters.data(),  parameters.data(), seed.data(),
                                 position.data(), token.data(),      logprob.data(),
                                 processed.data()};
        struct Context {
            const SampleTask& task;
            std::vector<char>& drawn;
        } context = {task, drawn};
        auto one = [](void* given, Index draw, void*) {
            const Context& work = *static_cast<Context*>(given);
            const std::unique_ptr<char[]> room(new char[sample_scratch_bytes(work.task)]);
            work.drawn[static_cast<size_t>(draw)] = kernels().sample(work.task, draw, room.get());
        };
        if (run({one, &context, draws, false, nullptr}, threads, Crew::own) != Outcome::done) std::abort();
        std::vector<uint64_t> bits;
        for (size_t d = 0; d < draws; d++) {
            if (!drawn[d]) continue;
            bits.push_back(static_cast<uint64_t>(token[d]));
            for (T value : {logprob[d], processed[d]}) {
                uint64_t word = 0;
                std::memcpy(&word, &value, sizeof value);
                bits.push_back(word);
            }
        }
        return bits;
    }
};

template <class T> int hash_samples_of(DType type, bool few) {
    Hash hash;
    for (Index vocabulary : {1, 2, 17, 100, 1000, 4097, 33000}) {
        if (few && vocabulary > 4096) break;
        const Sampling<T> sampling(vocabulary);
        for (const Setting& first : settings)
            for (const Setting& second : settings) {
                std::vector<Setting> chain = {first};
                if (first.filter != second.filter) chain.push_back(second);
                const std::vector<uint64_t> wanted = sampling.draw(chain, 1);
                hash.add(wanted);
                for (int threads : {2, 3})
                    if (sampling.draw(chain, threads) != wanted) return complain("threads", sampling.draws, vocabulary);
            }
    }
    hash.print("sample", type);
    return 0;
}
inline int hash_samples(bool few) {
    return hash_samples_of<float>(DType::float32, few) || hash_samples_of<double>(DType::float64, few);
}

}  // namespace driver
