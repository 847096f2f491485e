// The Python side of sampling: buffers in, tokens out.

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

#include "../dispatch.h"
#include "../interrupt.h"
#include "../lock.h"
#include "../schedule.h"
#include "bindings.h"
#include "buffer_view.h"

namespace softmaxlib {
namespace {

// Room for the working set of a row, one for each thread at work.
class Rooms {
    const size_t bytes_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<char[]>> free_;

  public:
    explicit Rooms(size_t bytes) : bytes_(bytes) {}
    std::unique_ptr<char[]> take() {
        std::lock_guard<std::mutex> lock(mutex_);
        if (free_.empty()) return std::unique_ptr<char[]>(new (std::nothrow) char[bytes_]);
        std::unique_ptr<char[]> room = std::move(free_.back());
        free_.pop_back();
        return room;
    }
    void put_back(std::unique_ptr<char[]> room) {
        std::lock_guard<std::mutex> lock(mutex_);
        free_.push_back(std::move(room));
    }
};

struct Plan {
    const KernelTable& kernels;
    const SampleTask& task;
    Index draws_per_unit;
    Rooms rooms;
    std::atomic<Index> first_bad;
    std::atomic<bool> no_memory{false};
};

void note_bad(Plan& plan, Index draw) {
    Index first = plan.first_bad;
    while (draw < first && !plan.first_bad.compare_exchange_weak(first, draw)) {}
}

void run_draws(void* context, Index unit, void*) {
    Plan& plan = *static_cast<Plan*>(context);
    std::unique_ptr<char[]> room = plan.rooms.take();
    if (!room) {
        plan.no_memory = true;
        return;
    }
    const Index first = unit * plan.draws_per_unit, last = std::min(plan.task.draws, first + plan.draws_per_unit);
    for (Index draw = first; draw < last; draw++)
        if (!plan.kernels.sample(plan.task, draw, room.get())) note_bad(plan, draw);
    plan.rooms.put_back(std::move(room));
}

bool interrupted(void*) { return signal_arrived(); }

// How the work ended, and the first draw whose row is bad, or -1.
Outcome run_samples(const SampleTask& task, int threads, Index& bad) {
    const Index per_unit = std::max<Index>(1, least_parallel / 2 / task.vocabulary);
    Plan plan = {*chosen_instruction_set().kernels, task, per_unit, Rooms(sample_scratch_bytes(task)), {task.draws}};
    Work work = {run_draws, &plan, (task.draws + per_unit - 1) / per_unit, false,
                 task.draws * task.vocabulary < least_interrupted ? nullptr : interrupted};
    const Outcome outcome = run(work, threads, Crew::own);
    bad = plan.first_bad == task.draws ? -1 : plan.first_bad.load();
    return plan.no_memory ? Outcome::no_memory : outcome;
}

}  // namespace

PyObject* sample_tokens(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    if (count != 9) {
        PyErr_SetString(PyExc_TypeError, "expected nine arrays");
        return nullptr;
    }
    BufferView buffer[9];
    for (int i = 0; i < 9; i++)
        if (!buffer[i].open(arguments[i], i < 6 ? PyBUF_CONTIG_RO | PyBUF_FORMAT : PyBUF_CONTIG | PyBUF_FORMAT))
            return nullptr;
    const BufferView &logits = buffer[0], &source = buffer[1], &filters = buffer[2];
    SampleTask task;
    task.logits = logits.as<void>();
    task.wide = logits.item() == 8;
    task.vocabulary = logits.length(1);
    task.draws = source.length(0);
    task.source = source.as<int64_t>();
    task.filters = static_cast<int>(filters.bytes());
    task.filter = filters.as<Filter>();
    task.parameter = buffer[3].as<double>();
    task.seed = buffer[4].as<uint64_t>();
    task.position = buffer[5].as<uint32_t>();
    task.token = buffer[6].as<int64_t>();
    task.logprob = buffer[7].as<void>();
    task.processed_logprob = buffer[8].as<void>();
    const Py_ssize_t expected[9] = {logits.bytes(),
                                    8 * task.draws,
                                    task.filters,
                                    8 * task.filters * task.draws,
                                    8 * task.draws,
                                    4 * task.draws,
                                    8 * task.draws,
                                    logits.item() * task.draws,
                                    logits.item() * task.draws};
    for (int i = 0; i < 9; i++) {
        if (buffer[i].bytes() != expected[i]) {
            PyErr_Format(PyExc_ValueError, "argument %d has %zd bytes, expected %zd", i, buffer[i].bytes(),
                         expected[i]);
            return nullptr;
        }
    }
    if (task.draws == 0) return PyLong_FromLong(-1);
    const int threads = task.draws * task.vocabulary < least_parallel ? 1 : available_threads();
    Index bad;
    Outcome outcome;
    {
        Unlocked released;
        outcome = run_samples(task, threads, bad);
    }
    if (outcome == Outcome::interrupted) return nullptr;
    return outcome == Outcome::no_memory ? PyErr_NoMemory() : PyLong_FromLong(bad);
}

}  // namespace softmaxlib
