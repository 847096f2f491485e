// The next token of a row: temperature, filters and the draw, without sorting the vocabulary.
//
// src/softmaxlib/sampling defines every result; here are the same tokens. What decides (which tokens stay, which
// wins) is a comparison of scores, a sum of whole numbers, or arithmetic that noise.h shares with the definition to
// the bit: the order of the work and the instruction set don't matter.
#pragma once

#include "contest.h"
#include "filters.h"
#include "mass_filters.h"

namespace {

template <class T> inline void apply_filter(Selection<T>& row, Filter filter, double parameter) {
    switch (filter) {
        case Filter::temperature: return set_temperature(row, parameter);
        case Filter::top_k: return keep_top_k(row, parameter);
        case Filter::top_p: return keep_top_p(row, parameter);
        case Filter::min_p: return keep_min_p(row, parameter);
        case Filter::typical_p: return keep_typical_p(row, parameter);
        case Filter::top_n_sigma: return keep_top_n_sigma(row, parameter);
    }
}

template <class T> inline Winner<T> draw_from(const Selection<T>& row, uint64_t seed, uint32_t position) {
    Contest<T> contest(row, Key(seed, position));
    contest.run();
    return contest.winner;
}

// One draw; false where its row cannot be sampled from.
template <class T> inline bool sample_row(const SampleTask& task, Index draw, void* scratch) {
    Selection<T> selection(task, static_cast<const T*>(task.logits) + task.source[draw] * task.vocabulary, scratch);
    if (!selection.scan()) return false;
    const Selection<T> whole = selection;
    for (int i = 0; i < task.filters; i++)
        apply_filter(selection, task.filter[i], task.parameter[i * task.draws + draw]);
    const Winner<T> winner = draw_from(selection, task.seed[draw], task.position[draw]);
    task.token[draw] = winner.token;
    static_cast<T*>(task.logprob)[draw] = whole.log_share(whole.score_of(winner.token));
    static_cast<T*>(task.processed_logprob)[draw] = selection.log_share(winner.score);
    return true;
}

}  // namespace
