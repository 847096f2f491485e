// The kernels without Python, for other processors, sanitizers and long fuzzing.
//
//   driver hash            a hash of the results of fixed rows, of their derivatives, losses, sigmoids and drawn
//                          tokens, the same on every instruction set, compiler and processor; every layout and number
//                          of threads must give these bits
//   driver hash few        the same of fewer calls, for slow builds; its numbers are others
//   driver fuzz ROWS SEED  random rows against a reference of more digits: the largest error of each function
//   driver crowd           many threads call at once: softmax, sparsemax, entmax, and draw tokens
//   driver list            the instruction sets of this machine
//   driver cases           the names of calls on ordinary rows
//   driver run NAME TIMES  one of them, that many times; 0: the least time of a call in nanoseconds
//
// SOFTMAXLIB_ISA chooses the instruction set.

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "../dispatch.h"
#include "../schedule.h"
#include "../scratch.h"
#include "cases.h"
#include "matrix.h"
#include "reference.h"
#include "samples.h"

using namespace softmaxlib;
using namespace driver;

namespace {

// Each derivative at the probabilities (or their logarithms) of fixed rows.
int hash_derivatives() {
    const struct {
        Function function, at;
        const char* name;
    } derivatives[] = {
        {Function::softmax_jvp, Function::softmax, "softmax_jvp"},
        {Function::log_softmax_jvp, Function::softmax, "log_softmax_jvp"},
        {Function::log_softmax_vjp, Function::softmax, "log_softmax_vjp"},
        {Function::log_softmax_vjp_of_logarithms, Function::log_softmax, "log_softmax_vjp_of_logarithms"}};
    for (const auto& derivative : derivatives) {
        for (DType type : {DType::float16, DType::bfloat16, DType::float32, DType::float64}) {
            Hash hash;
            for (Shape shape : shapes) {
                const Index n = shape.classes, m = shape.rows;
                const Layout plain = {n, 1, 0, false};
                Matrix logits = fixed_rows(type, shape, plain), tangent = fixed_rows(type, {m, n}, plain);
                const std::vector<uint64_t> at = results(derivative.at, logits, plain, 1, 1, false);
                Matrix x = matrix_of(at, type, shape, plain);
                const std::vector<uint64_t> wanted = results(derivative.function, x, plain, 1, 1, false, &tangent);
                hash.add(wanted);
                for (int threads : {2, 3})
                    if (results(derivative.function, x, plain, 1, threads, true, &tangent) != wanted)
                        return complain("threads", m, n);
                for (const Layout& layout : {Layout{1, m, 0, false}, Layout{2 * n, 2, 1, false}, Layout{n, 1, 0, true},
                                             Layout{-n, -1, 0, false}}) {
                    Matrix other = matrix_of(at, type, shape, layout), moved = fixed_rows(type, shape, layout);
                    if (results(derivative.function, other, layout, 1, 2, false, &moved) != wanted)
                        return complain("layout", m, n);
                }
            }
            hash.print(derivative.name, type);
        }
    }
    return 0;
}

struct LossResults {
    std::vector<uint64_t> bits;  // of the losses, then of the gradient where there is one
    std::vector<double> sums;
};
// With `sums` those of a sweep before are given.
LossResults losses(Matrix& x, Layout layout, const double (&options)[3], bool gradient, const LossResults* before) {
    Matrix out(x.type, x.rows, x.classes, layout);
    LossTask task = {};
    task.rows = task_of(Function::log_softmax, x, out, 1);
    task.rows.lead = 0;
    if (!gradient) task.rows.output.data = nullptr;
    task.smoothing = options[0];
    task.focal = options[1];
    task.z_loss = options[2];
    task.rows.wide |= task.smoothing != 0;
    task.scale = 0.37;
    std::vector<int64_t> labels;
    for (Index r = 0; r < x.rows; r++) labels.push_back(r % 5 == 3 ? -1 : r * 7 % x.classes);
    std::vector<double> loss(static_cast<size_t>(x.rows));
    LossResults found;
    found.sums = before ? before->sums : std::vector<double>(static_cast<size_t>(x.rows * sums_kept));
    task.label = labels.data();
    task.loss = loss.data();
    task.sums = before || !gradient ? found.sums.data() : nullptr;
    Scratch scratch;
    kernels().losses(task, 0, group_count(task.rows), scratch.get());
    for (double one : loss) {
        uint64_t bits;
        std::memcpy(&bits, &one, sizeof bits);
        found.bits.push_back(bits);
    }
    for (Index r = 0; r < x.rows && gradient; r++)
        for (Index c = 0; c < x.classes; c++) found.bits.push_back(out.get(r, c));
    return found;
}
int hash_losses() {
    constexpr double choices[][3] = {{0, 0, 0}, {0.1, 0, 0}, {0, 2, 0}, {0, 0, 1e-3}};
    for (DType type : {DType::float16, DType::bfloat16, DType::float32, DType::float64}) {
        Hash hash;
        for (Shape shape : shapes) {
            const Layout plain = {shape.classes, 1, 0, false};
            Matrix x = fixed_rows(type, shape, plain);
            for (const auto& options : choices) {
                const std::vector<uint64_t> wanted = losses(x, plain, options, true, nullptr).bits;
                hash.add(wanted);
                const LossResults forward = losses(x, plain, options, false, nullptr);
                if (!std::equal(forward.bits.begin(), forward.bits.end(), wanted.begin()) ||
                    losses(x, plain, options, true, &forward).bits != wanted)
                    return complain("sums", shape.rows, shape.classes);
                for (const Layout& layout : {Layout{1, shape.rows, 0, false}, Layout{2 * shape.classes, 2, 1, false},
                                             Layout{shape.classes, 1, 0, true}}) {
                    Matrix other = fixed_rows(type, shape, layout);
                    if (losses(other, layout, options, true, nullptr).bits != wanted)
                        return complain("layout", shape.rows, shape.classes);
                }
            }
        }
        hash.print("cross_entropy", type);
    }
    return 0;
}

// Of all elements, a part of them at a time.
std::vector<uint64_t> sigmoids(Matrix& x, bool logarithm, bool stream, Index part) {
    Matrix out(x.type, x.rows, x.classes, {x.classes, 1, 0, false});
    SigmoidTask task = {x.operand(false), out.start, x.type, logarithm, stream, x.rows * x.classes};
    for (Index first = 0; first < task.elements; first += part)
        kernels().sigmoid(task, first, std::min(task.elements, first + part));
    std::vector<uint64_t> found;
    for (Index r = 0; r < x.rows; r++)
        for (Index c = 0; c < x.classes; c++) found.push_back(out.get_one_nan(r, c));
    return found;
}
int hash_sigmoids() {
    for (bool logarithm : {false, true}) {
        for (DType type : {DType::float16, DType::bfloat16, DType::float32, DType::float64}) {
            Hash hash;
            for (Shape shape : shapes) {
                const Index n = shape.classes, all = shape.rows * n;
                Matrix x = fixed_rows(type, shape, {n, 1, 0, false}), moved = fixed_rows(type, shape, {n, 1, 3, false}),
                       swapped = fixed_rows(type, shape, {n, 1, 0, true});
                const std::vector<uint64_t> wanted = sigmoids(x, logarithm, false, all);
                hash.add(wanted);
                if (sigmoids(x, logarithm, true, all) != wanted) return complain("stream", shape.rows, n);
                if (sigmoids(x, logarithm, false, 37) != wanted) return complain("parts", shape.rows, n);
                for (Matrix* other : {&moved, &swapped})
                    if (sigmoids(*other, logarithm, false, all) != wanted) return complain("layout", shape.rows, n);
            }
            hash.print(logarithm ? "log_sigmoid" : "sigmoid", type);
        }
    }
    return 0;
}

int hash(bool few) {
    const std::vector<double> temperatures = few ? std::vector<double>{1} : std::vector<double>{1, 0.3, 7};
    const std::vector<int> numbers_of_threads = few ? std::vector<int>{3} : std::vector<int>{1, 2, 3, 8};
    for (Function function :
         {Function::softmax, Function::log_softmax, Function::logsumexp, Function::sparsemax, Function::entmax15}) {
        for (DType type : {DType::float16, DType::bfloat16, DType::float32, DType::float64}) {
            Hash hash;
            for (Shape shape : shapes) {
                Index n = shape.classes, m = shape.rows;
                const Layout plain = {n, 1, 0, false};
                std::vector<Layout> layouts = {{1, -m, 0, false}, {n, 1, 3, false}};
                if (!few)
                    layouts.insert(layouts.end(), {{1, m, 0, false},
                                                   {2 * n, 2, 1, false},
                                                   {n, 1, 0, true},
                                                   {-n, -1, 0, false},
                                                   {n + 7, 1, 20, false}});
                Matrix x = fixed_rows(type, shape, plain);
                for (double temperature : temperatures) {
                    const bool has_temperature = function == Function::softmax || function == Function::log_softmax;
                    if (!has_temperature && temperature != 1) continue;
                    std::vector<uint64_t> wanted = results(function, x, plain, temperature, 1, false);
                    hash.add(wanted);
                    for (int threads : numbers_of_threads)
                        if (results(function, x, plain, temperature, threads, true) != wanted)
                            return complain("threads", m, n);
                    for (const Layout& layout : layouts) {
                        Matrix other = fixed_rows(type, shape, layout);
                        if (results(function, other, layout, temperature, 2, false) != wanted)
                            return complain("layout", m, n);
                    }
                }
            }
            hash.print(name_of(function), type);
        }
    }
    return hash_derivatives() || hash_losses() || hash_sigmoids() || hash_samples(few);
}

struct Worst {
    double normal = 0, subnormal = 0;
};

void compare(DType type, const std::vector<Wide>& exact, const uint64_t* bits, Worst& worst) {
    for (size_t i = 0; i < exact.size(); i++) {
        double error = error_in_ulp(decode(type, bits[i]), exact[i], type);
        double& largest = is_subnormal(exact[i], type) ? worst.subnormal : worst.normal;
        if (!(error <= largest)) largest = error;
    }
}

int fuzz(Index rows, uint64_t seed) {
    Worst worst[3][4];
    Index skipped = 0;
    Random random(seed);
    for (Index done = 0; done < rows;) {
        DType type = static_cast<DType>(random.below(4));
        Index n = random.below(200) ? 1 + random.below(random.below(8) ? 12 : 100) : 1 + random.below(3000);
        Index m = n > 200 ? 1 : 64;
        Layout layout = random.below(2) ? Layout{n, 1, 0, false} : Layout{1, m, 0, false};
        double temperature = random.below(2) ? 1 : 0.05 + 4 * random.unit();
        Matrix x(type, m, n, layout);
        std::vector<double> values;
        for (Index r = 0; r < m; r++) {
            RowMaker row(random, type, true);
            Index special = random.below(n);
            for (Index c = 0; c < n; c++) {
                uint64_t bits = encode(type, row.next(c == special));
                x.set(r, c, bits);
                values.push_back(decode(type, bits));
            }
        }
        constexpr Function functions[] = {Function::softmax, Function::log_softmax, Function::logsumexp};
        std::vector<uint64_t> bits[3];
        for (Function f : functions)
            bits[static_cast<int>(f)] = results(f, x, layout, f == Function::logsumexp ? 1 : temperature, 1, false);
        std::vector<Wide> exact;
        for (Index r = 0; r < m; r++) {
            const double* row = values.data() + r * n;
            Parts parts(row, n, temperature);
            for (Function f : functions) {
                bool reduces = f == Function::logsumexp;
                if (reduces && temperature != 1) parts = Parts(row, n, 1);
                int k = static_cast<int>(f);
                if (!reference(f, parts, row, n, type, exact)) skipped++;
                else compare(type, exact, bits[k].data() + r * (reduces ? 1 : n), worst[k][static_cast<int>(type)]);
            }
        }
        done += m;
    }
    for (Function function : {Function::softmax, Function::log_softmax, Function::logsumexp})
        for (DType type : {DType::float16, DType::bfloat16, DType::float32, DType::float64}) {
            const Worst& w = worst[static_cast<int>(function)][static_cast<int>(type)];
            std::printf("%s %s %.4f %.4f\n", name_of(function), name_of(type), w.normal, w.subnormal);
        }
    std::printf("rows %td skipped %td\n", rows, skipped);
    return 0;
}

int crowd() {
    const Shape shape = {300, 700};
    const Layout plain = {700, 1, 0, false};
    Matrix x = fixed_rows(DType::float32, shape, plain);
    const Sampling<float> sampling(33000);
    auto everything = [&](int threads) {
        std::vector<uint64_t> found = sampling.draw({{Filter::top_p, 0.9}}, threads);
        for (Function function : {Function::softmax, Function::sparsemax, Function::entmax15}) {
            const std::vector<uint64_t> bits = results(function, x, plain, 1, threads, false);
            found.insert(found.end(), bits.begin(), bits.end());
        }
        return found;
    };
    const std::vector<uint64_t> wanted = everything(1);
    std::vector<int> wrong(6, 0);
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 6; caller++)
        callers.emplace_back([&, caller] {
            for (int i = 0; i < 20; i++) wrong[caller] += everything(1 + i % 5) != wanted;
        });
    for (std::thread& caller : callers) caller.join();
    for (int count : wrong)
        if (count) return complain("crowd", shape.rows, shape.classes);
    std::printf("crowd right\n");
    return 0;
}

int list() {
    for (const InstructionSet& set : instruction_sets())
        if (set.supported()) std::printf("%s\n", set.name);
    return 0;
}

}  // namespace

int main(int count, char** arguments) {
    std::string mode = count > 1 ? arguments[1] : "";
    if (mode == "list") return list();
    if (mode == "hash") return hash(count > 2 && arguments[2] == std::string("few"));
    if (mode == "crowd") return crowd();
    if (mode == "cases") return list_cases();
    if (mode == "run" && count == 4) return run_case(arguments[2], std::strtoll(arguments[3], nullptr, 10));
    if (mode == "fuzz" && count == 4)
        return fuzz(std::strtoll(arguments[2], nullptr, 10), std::strtoull(arguments[3], nullptr, 10));
    std::fprintf(stderr, "usage: driver hash [few] | fuzz ROWS SEED | crowd | list | cases | run NAME TIMES\n");
    return 2;
}
