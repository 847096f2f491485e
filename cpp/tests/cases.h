// Calls of the kernels on ordinary rows, by name: benchmarks/instructions.py counts and times them.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "../scratch.h"
#include "samples.h"

namespace driver {

struct Case {
    std::string name;
    Index elements;
    std::function<std::function<void()>()> prepared;  // the call, with all that it needs
};

// Rows of ordinary logits that begin at a cache line.
inline Matrix ordinary_rows(DType type, Shape shape, bool in_columns, uint64_t seed) {
    const ptrdiff_t row = in_columns ? 1 : shape.classes, step = in_columns ? shape.rows : 1;
    Matrix x(type, shape.rows, shape.classes, {row, step, 64, false});
    x.start -= reinterpret_cast<uintptr_t>(x.start) % 64;
    Random random(seed);
    for (Index r = 0; r < shape.rows; r++)
        for (Index c = 0; c < shape.classes; c++) {
            double logit = -6;
            for (int i = 0; i < 4; i++) logit += 3 * random.unit();
            x.set(r, c, encode(type, logit));
        }
    return x;
}

inline void run_one(const Task& task) {
    if (run_task(kernels(), task, 1, nullptr) != Outcome::done) std::abort();
}
inline std::string named(const std::string& function, DType type, Shape shape, bool in_columns) {
    const std::string size = std::to_string(shape.rows) + "x" + std::to_string(shape.classes);
    return function + " " + name_of(type) + " " + size + (in_columns ? " axis 0" : "");
}

inline Case activation(Function function, DType type, Shape shape, bool in_columns = false) {
    return {named(name_of(function), type, shape, in_columns), shape.rows * shape.classes, [=] {
                auto x = std::make_shared<Matrix>(ordinary_rows(type, shape, in_columns, 1));
                auto out = std::make_shared<Matrix>(ordinary_rows(type, shape, in_columns, 2));
                return [=] { run_one(task_of(function, *x, *out, 1)); };
            }};
}

// `at`: what gave the values that the derivative starts from.
inline Case derivative(Function function, const char* name, Function at, DType type, Shape shape) {
    return {named(name, type, shape, false), shape.rows * shape.classes, [=] {
                auto x = std::make_shared<Matrix>(ordinary_rows(type, shape, false, 1));
                auto tangent = std::make_shared<Matrix>(ordinary_rows(type, shape, false, 3));
                auto out = std::make_shared<Matrix>(ordinary_rows(type, shape, false, 2));
                run_one(task_of(at, *x, *x, 1));
                return [=] {
                    Task task = task_of(function, *x, *out, 1);
                    task.tangent = tangent->operand(false);
                    run_one(task);
                };
            }};
}

inline Case loss(const char* name, DType type, Shape shape, bool gradient, double smoothing = 0, double focal = 0) {
    return {named(name, type, shape, false), shape.rows * shape.classes, [=] {
                auto x = std::make_shared<Matrix>(ordinary_rows(type, shape, false, 1));
                auto out = std::make_shared<Matrix>(ordinary_rows(type, shape, false, 2));
                auto labels = std::make_shared<std::vector<int64_t>>();
                for (Index r = 0; r < shape.rows; r++) labels->push_back(r * 7 % shape.classes);
                auto losses = std::make_shared<std::vector<double>>(static_cast<size_t>(shape.rows));
                auto scratch = std::make_shared<Scratch>();
                return [=] {
                    LossTask task = {};
                    task.rows = task_of(Function::log_softmax, *x, *out, 1);
                    task.rows.lead = 0;
                    if (!gradient) task.rows.output.data = nullptr;
                    task.smoothing = smoothing;
                    task.focal = focal;
                    task.rows.wide |= smoothing != 0;
                    task.scale = 1;
                    task.label = labels->data();
                    task.loss = losses->data();
                    kernels().losses(task, 0, group_count(task.rows), scratch->get());
                };
            }};
}

inline Case sample(const char* name, Index vocabulary, std::vector<Setting> chain) {
    const Index rows = 4;
    return {named(std::string("sample ") + name, DType::float32, {rows, vocabulary}, false), rows * vocabulary, [=] {
                struct Drawn {
                    std::vector<int64_t> source, token;
                    std::vector<Filter> filters;
                    std::vector<double> parameters;
                    std::vector<uint64_t> seed;
                    std::vector<uint32_t> position;
                    std::vector<float> logprob, processed;
                };
                auto x = std::make_shared<Matrix>(ordinary_rows(DType::float32, {rows, vocabulary}, false, 1));
                auto drawn = std::make_shared<Drawn>();
                for (Index r = 0; r < rows; r++) {
                    drawn->source.push_back(r);
                    drawn->seed.push_back(static_cast<uint64_t>(r) + 11);
                }
                for (const Setting& one : chain) {
                    drawn->filters.push_back(one.filter);
                    drawn->parameters.insert(drawn->parameters.end(), rows, one.parameter);
                }
                drawn->token.resize(rows);
                drawn->position.resize(rows);
                drawn->logprob.resize(rows);
                drawn->processed.resize(rows);
                const SampleTask task = {x->start,
                                         false,
                                         vocabulary,
                                         rows,
                                         drawn->source.data(),
                                         static_cast<int>(chain.size()),
                                         drawn->filters.data(),
                                         drawn->parameters.data(),
                                         drawn->seed.data(),
                                         drawn->position.data(),
                                         drawn->token.data(),
                                         drawn->logprob.data(),
                                         drawn->processed.data()};
                auto room = std::make_shared<Scratch>(sample_scratch_bytes(task));
                return [=] {
                    for (Index r = 0; r < rows && drawn; r++)
                        if (!kernels().sample(task, r, room->get()) || !x) std::abort();
                };
            }};
}

inline std::vector<Case> cases() {
    const Shape shapes[] = {{64, 10}, {64, 100}, {16, 1000}, {4, 32000}, {1, 200000}};
    std::vector<Case> all;
    for (Function function : {Function::softmax, Function::log_softmax, Function::logsumexp}) {
        for (Shape shape : shapes) all.push_back(activation(function, DType::float32, shape));
        for (Shape shape : {Shape{64, 10}, Shape{64, 1000}})
            all.push_back(activation(function, DType::float32, shape, true));
        all.push_back(activation(function, DType::float64, {16, 1000}));
        all.push_back(activation(function, DType::float16, {16, 1000}));
    }
    for (Shape shape : {Shape{64, 10}, Shape{64, 100}, Shape{16, 1000}, Shape{4, 32000}}) {
        all.push_back(loss("loss", DType::float32, shape, false));
        all.push_back(loss("loss and gradient", DType::float32, shape, true));
    }
    for (Shape shape : {Shape{64, 10}, Shape{16, 1000}, Shape{4, 32000}})
        all.push_back(loss("smoothed loss and gradient", DType::float32, shape, true, 0.1));
    all.push_back(loss("focal loss and gradient", DType::float32, {16, 1000}, true, 0, 2));
    for (Shape shape : {Shape{64, 10}, Shape{64, 100}, Shape{16, 1000}, Shape{4, 32000}}) {
        all.push_back(derivative(Function::softmax_jvp, "softmax_jvp", Function::softmax, DType::float32, shape));
        all.push_back(
            derivative(Function::log_softmax_jvp, "log_softmax_jvp", Function::softmax, DType::float32, shape));
        all.push_back(
            derivative(Function::log_softmax_vjp, "log_softmax_vjp", Function::softmax, DType::float32, shape));
        all.push_back(derivative(Function::log_softmax_vjp_of_logarithms, "log_softmax_vjp_of_logarithms",
                                 Function::log_softmax, DType::float32, shape));
    }
    for (Function function : {Function::sparsemax, Function::entmax15})
        for (Shape shape : {Shape{64, 10}, Shape{16, 1000}, Shape{4, 32000}})
            all.push_back(activation(function, DType::float32, shape));
    for (Index vocabulary : {1000, 32000}) {
        all.push_back(sample("alone", vocabulary, {}));
        all.push_back(sample("top_k", vocabulary, {{Filter::top_k, 50}}));
        all.push_back(sample("top_p", vocabulary, {{Filter::top_p, 0.9}}));
        all.push_back(sample("min_p", vocabulary, {{Filter::min_p, 0.05}}));
        all.push_back(sample("typical_p", vocabulary, {{Filter::typical_p, 0.9}}));
        all.push_back(sample("top_n_sigma", vocabulary, {{Filter::top_n_sigma, 1.5}}));
    }
    return all;
}

inline int list_cases() {
    for (const Case& one : cases()) std::printf("%s\n", one.name.c_str());
    return 0;
}

// `times` calls of the case, or, where that is 0, the least time of many.
inline int run_case(const std::string& name, Index times) {
    for (const Case& one : cases()) {
        if (one.name != name) continue;
        const std::function<void()> call = one.prepared();
        for (Index i = 0; i < times; i++) call();
        if (times > 0) return 0;
        using Clock = std::chrono::steady_clock;
        const Index batch = std::max<Index>(1, 20000 / one.elements);
        double least = HUGE_VAL;
        for (const auto end = Clock::now() + std::chrono::milliseconds(150); Clock::now() < end;) {
            const auto before = Clock::now();
            for (Index i = 0; i < batch; i++) call();
            const std::chrono::duration<double, std::nano> taken = Clock::now() - before;
            least = std::min(least, taken.count() / static_cast<double>(batch));
        }
        std::printf("%.1f\n", least);
        return 0;
    }
    std::fprintf(stderr, "there is no case '%s'; driver cases lists them\n", name.c_str());
    return 2;
}

}  // namespace driver
