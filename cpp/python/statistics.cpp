// What tests and curves of calibration are made of: sums over bins and cells, the order of numbers, draws with
// replacement. The arrays arrive checked, through the buffer protocol.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <algorithm>
#include <new>
#include <vector>

#include "../bins.h"
#include "../dispatch.h"
#include "../lock.h"
#include "../order.h"
#include "../ranks.h"
#include "../resampling.h"
#include "../schedule.h"
#include "bindings.h"
#include "buffer_view.h"
#include "owned.h"
#include "read_rows.h"
#include "run_released.h"

namespace softmaxlib {
namespace {

constexpr Index row_parts = 8;  // a fixed number, so that no sum depends on the threads
constexpr Py_ssize_t most_columns = 3;

// False if it is not a column of this many flags or doubles.
bool open_column(PyObject* object, Py_ssize_t rows, BufferView& view, BinnedColumn& column) {
    if (!view.open(object, PyBUF_C_CONTIGUOUS)) return false;
    column = {view.item() == 8 ? view.as<double>() : nullptr, view.item() == 1 ? view.as<bool>() : nullptr};
    return (column.number || column.flag) && view.bytes() == rows * view.item();
}

// The sums of bins over each part of the rows.
struct BinParts {
    const BinnedRows& binned;
    const BinFinder bin_of;
    const size_t size;
    const Index rows, rows_per_part;
    std::vector<double> sums;  // (parts, size)
};
void sum_part(void* context, Index number, void*) {
    BinParts& parts = *static_cast<BinParts*>(context);
    const Index first = std::min(parts.rows, number * parts.rows_per_part),
                last = std::min(parts.rows, first + parts.rows_per_part);
    add_to_bins(parts.binned, parts.bin_of, static_cast<size_t>(first), static_cast<size_t>(last),
                parts.sums.data() + parts.size * static_cast<size_t>(number));
}

// The cells of one part of the rows.
struct Part {
    std::vector<CellTask::Cell> cells;
    std::vector<int64_t> hits;
    CellTask::Sums sums;

    explicit Part(size_t size) : cells(size), hits(size), sums({cells.data(), hits.data()}) {}
};
struct Parts {
    const CellTask& task;
    const Index rows_per_part;
    std::vector<Part> all;
};
void count_part(void* context, Index number, void*) {
    Parts& parts = *static_cast<Parts*>(context);
    const Index first = number * parts.rows_per_part,
                last = std::min(parts.task.rows.rows, first + parts.rows_per_part);
    chosen_instruction_set().decisions->count_cells(parts.task, first, last,
                                                    parts.all[static_cast<size_t>(number)].sums);
}
struct Draws {
    const uint64_t seed, first;
    const uint32_t things;
    const double* number;  // (width, things), or null: the counts themselves are wanted
    const Index width;
    double* out;
};
void draw_one(void* context, Index number, void* scratch) {
    const Draws& draws = *static_cast<Draws*>(context);
    std::vector<uint32_t> own;
    uint32_t* counts = static_cast<uint32_t*>(scratch);
    if (draws.things * sizeof(uint32_t) > scratch_bytes) {
        own.resize(draws.things);
        counts = own.data();
    }
    std::fill(counts, counts + draws.things, 0u);
    draw_with_replacement(draws.seed, draws.first + static_cast<uint64_t>(number), draws.things, counts);
    if (!draws.number) {
        std::copy(counts, counts + draws.things, draws.out + number * static_cast<Index>(draws.things));
        return;
    }
    for (Index which = 0; which < draws.width; which++)
        draws.out[number * draws.width + which] =
            sum_of_drawn(counts, draws.number + which * static_cast<Index>(draws.things), draws.things);
}

}  // namespace

PyObject* sum_bins(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    static const char expected[] = "expected values, a weight, edges, up to three columns, of one size";
    BufferView value, weight, edge;
    if (count != 4 || !PyTuple_Check(arguments[3]) || PyTuple_GET_SIZE(arguments[3]) > most_columns ||
        !value.open(arguments[0], PyBUF_C_CONTIGUOUS) || !weight.open_unless_none(arguments[1], PyBUF_C_CONTIGUOUS) ||
        !edge.open(arguments[2], PyBUF_C_CONTIGUOUS))
        return refuse(expected);
    const Py_ssize_t rows = value.bytes() / 8, bins = edge.bytes() / 8 - 1;
    BufferView views[most_columns];
    BinnedColumn columns[most_columns];
    const Py_ssize_t of_rows = PyTuple_GET_SIZE(arguments[3]);
    for (Py_ssize_t c = 0; c < of_rows; c++)
        if (!open_column(PyTuple_GET_ITEM(arguments[3], c), rows, views[c], columns[c])) return refuse(expected);
    if (bins < 1 || value.bytes() % 8 != 0 || (weight.as<void>() && weight.bytes() != 8 * rows))
        return refuse(expected);
    const BinnedRows binned = {value.as<double>(), weight.as<double>(), columns, static_cast<size_t>(of_rows)};
    const size_t width = binned.width(), size = width * static_cast<size_t>(bins);
    const Index parts = rows < least_parallel ? 1 : row_parts;
    try {
        BinParts work = {binned, {edge.as<double>(), static_cast<size_t>(bins)}, size, rows, (rows + parts - 1) / parts,
                         {}};
        work.sums.resize(size * static_cast<size_t>(parts));
        Owned done(run_released(sum_part, &work, parts, rows));
        if (!done.object) return nullptr;
        PyObject* result = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(8 * size));
        if (!result) return nullptr;
        double* sums = reinterpret_cast<double*>(PyBytes_AS_STRING(result));
        for (size_t i = 0; i < size; i++) {
            double sum = 0;
            for (Index part = 0; part < parts; part++) sum += work.sums[size * static_cast<size_t>(part) + i];
            sums[i % width * static_cast<size_t>(bins) + i / width] = sum;
        }
        return result;
    } catch (const std::bad_alloc&) {
        return PyErr_NoMemory();
    }
}

PyObject* sum_to_ranks(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    static const char expected[] = "expected values, a column, rising ranks, whole_ties, outputs of one size";
    BufferView value, view, rank, outputs[3];
    RankedRows rows = {};
    if (count != 5 || !is_tuple_of(arguments[4], 3) || !value.open(arguments[0], PyBUF_C_CONTIGUOUS) ||
        !rank.open(arguments[2], PyBUF_C_CONTIGUOUS) ||
        !open_all(outputs, arguments[4], PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) || value.bytes() % 8 != 0 ||
        !open_column(arguments[1], value.bytes() / 8, view, rows.column))
        return refuse(expected);
    rows.count = static_cast<size_t>(value.bytes() / 8);
    rows.value = value.as<double>();
    const Py_ssize_t ranks = rank.bytes() / 8;
    if (rank.bytes() % 8 != 0 || !have_bytes(outputs, {8 * ranks, 8 * ranks, 8 * ranks})) return refuse(expected);
    const int64_t* numbers = rank.as<int64_t>();
    for (Py_ssize_t i = 0; i < ranks; i++)
        if (numbers[i] < (i ? numbers[i - 1] : 0) || numbers[i] >= value.bytes() / 8) return refuse(expected);
    const RankSums sums = {outputs[0].as<double>(), outputs[1].as<int64_t>(), outputs[2].as<double>()};
    size_t different = 0;
    try {
        const int threads = available_threads();
        Unlocked released;
        different = sum_to_ranks(rows, numbers, static_cast<size_t>(ranks), arguments[3] == Py_True, sums, threads);
    } catch (const std::bad_alloc&) {
        return PyErr_NoMemory();
    }
    return PyLong_FromSize_t(different);
}

PyObject* count_cells(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    static const char expected[] = "expected values, is_probabilities, most_likely, confidence, label, first_class, "
                                   "cells_of_log_odds, most_log_odds, outputs of one size";
    if (count != 9 || !is_tuple_of(arguments[8], 4)) return refuse(expected);
    BufferView values, most_likely, confidence, label, outputs[4];
    CellTask task = {};
    if (!values.open(arguments[0], PyBUF_STRIDES | PyBUF_FORMAT) || !read_rows(values, task.rows) ||
        !most_likely.open_unless_none(arguments[2], PyBUF_C_CONTIGUOUS) ||
        !confidence.open_unless_none(arguments[3], PyBUF_C_CONTIGUOUS) ||
        !label.open(arguments[4], PyBUF_C_CONTIGUOUS) ||
        !open_all(outputs, arguments[8], PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE))
        return refuse(expected);
    task.rows.probabilities = arguments[1] == Py_True;
    task.first_class = PyLong_AsLong(arguments[5]);
    task.cells_of_log_odds = PyFloat_AsDouble(arguments[6]);
    task.most_log_odds = PyFloat_AsDouble(arguments[7]);
    if (PyErr_Occurred()) return nullptr;
    const Py_ssize_t rows = task.rows.rows;
    const bool counts = outputs[0].is_open() && outputs[1].is_open() && outputs[2].is_open();
    task.classes = outputs[counts ? 0 : 3].length(0);
    task.cells = counts ? outputs[0].length(1) : 0;
    const Py_ssize_t cells = task.classes * task.cells;
    const bool reads_logits = !task.rows.probabilities;
    const bool is_whole =
        task.classes >= 1 && task.classes <= most_counted_classes && task.first_class >= 0 &&
        task.first_class + task.classes <= task.rows.classes && task.most_log_odds <= 40 &&
        (!counts || static_cast<double>(task.cells) > 2 * task.most_log_odds * task.cells_of_log_odds);
    if (!is_whole || label.bytes() != 8 * rows || (reads_logits && most_likely.bytes() != 8 * rows) ||
        (reads_logits && confidence.bytes() != 8 * rows) ||
        !have_bytes(outputs, {8 * cells, 8 * cells, 8 * cells, 8 * task.classes * rows}))
        return refuse(expected);
    task.label = label.as<int64_t>();
    task.most_likely = most_likely.as<int64_t>();
    task.confidence = confidence.as<double>();
    task.probability = outputs[3].as<double>();
    const Index elements = rows * task.classes, parts = elements < least_parallel ? 1 : row_parts;
    const Index per_part = ((rows + parts - 1) / parts + group_rows - 1) / group_rows * group_rows;
    try {
        Parts whole = {task, per_part, {}};
        for (Index part = 0; part < parts; part++) whole.all.emplace_back(static_cast<size_t>(cells));
        PyObject* done = run_released(count_part, &whole, parts, elements);
        if (!done || !counts) return done;
        for (int which = 0; which < 3; which++) std::fill_n(outputs[which].as<char>(), 8 * cells, '\0');
        for (const Part& part : whole.all)
            for (Py_ssize_t i = 0; i < cells; i++) {
                outputs[0].as<int64_t>()[i] += part.sums.cell[i].rows;
                outputs[1].as<int64_t>()[i] += part.sums.hits[i];
                outputs[2].as<double>()[i] += part.sums.cell[i].probability;
            }
        return done;
    } catch (const std::bad_alloc&) {
        return PyErr_NoMemory();
    }
}

PyObject* find_order(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    BufferView values, places;
    if (count != 2 || !values.open(arguments[0], PyBUF_C_CONTIGUOUS) ||
        !places.open(arguments[1], PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) || values.bytes() != places.bytes() ||
        values.bytes() % 8 != 0)
        return refuse("expected float64 values and as many int64 places");
    try {
        Unlocked released;
        rising_order(values.as<double>(), static_cast<size_t>(values.bytes() / 8), places.as<int64_t>());
    } catch (const std::bad_alloc&) {
        return PyErr_NoMemory();
    }
    Py_RETURN_NONE;
}

PyObject* draw_counts(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    BufferView out;
    if (count != 3 || !out.open(arguments[2], PyBUF_ND | PyBUF_WRITABLE) || out.view().ndim != 2 || out.item() != 8)
        return refuse("expected a seed, the number of the first resample, and float64 counts (resamples, things)");
    const uint64_t seed = PyLong_AsUnsignedLongLongMask(arguments[0]), first = PyLong_AsUnsignedLongLong(arguments[1]);
    if (PyErr_Occurred()) return nullptr;
    const Index resamples = out.length(0), things = out.length(1);
    if (things < 1 || things > INT32_MAX) return refuse("expected at least one thing, and fewer than 2^31");
    Draws draws = {seed, first, static_cast<uint32_t>(things), nullptr, 0, out.as<double>()};
    return run_released(draw_one, &draws, resamples, resamples * things);
}

PyObject* draw_sums(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    static const char expected[] = "expected a seed, float64 numbers (width, things) and float64 sums "
                                   "(resamples, width)";
    BufferView number, out;
    if (count != 3 || !number.open(arguments[1], PyBUF_ND) || !out.open(arguments[2], PyBUF_ND | PyBUF_WRITABLE) ||
        number.view().ndim != 2 || out.view().ndim != 2 || number.item() != 8 || out.item() != 8)
        return refuse(expected);
    const uint64_t seed = PyLong_AsUnsignedLongLongMask(arguments[0]);
    if (PyErr_Occurred()) return nullptr;
    const Index resamples = out.length(0), width = out.length(1), things = number.length(1);
    if (things < 1 || things > INT32_MAX || number.length(0) != width) return refuse(expected);
    Draws draws = {seed, 0, static_cast<uint32_t>(things), number.as<double>(), width, out.as<double>()};
    return run_released(draw_one, &draws, resamples, resamples * things);
}

}  // namespace softmaxlib
