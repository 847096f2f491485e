// What tests and curves of calibration are made of: sums over bins and cells, the order of numbers, draws with
// replacement. The arrays arrive checked, through the buffer protocol.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
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

// The same of several sets of bins.
struct SetParts {
    const BinSets& sets;
    const Index rows, rows_per_part;
    std::vector<double> sums;  // (parts, sets.size())
};
void sum_sets(void* context, Index number, void*) {
    SetParts& parts = *static_cast<SetParts*>(context);
    const Index first = std::min(parts.rows, number * parts.rows_per_part),
                last = std::min(parts.rows, first + parts.rows_per_part);
    parts.sets.add(static_cast<size_t>(first), static_cast<size_t>(last),
                   parts.sums.data() + parts.sets.size() * static_cast<size_t>(number));
}

// Numbers that are 0 to begin with: those of a large array become so in the thread that works with them.
template <class T> class Zeros {
    std::unique_ptr<T, decltype(&std::free)> numbers_;

  public:
    explicit Zeros(size_t size) : numbers_(static_cast<T*>(std::calloc(size ? size : 1, sizeof(T))), &std::free) {
        if (!numbers_) throw std::bad_alloc();
    }
    T* data() const { return numbers_.get(); }
};
// The cells of one part of the rows.
struct Part {
    Zeros<CellTask::Cell> cells;
    Zeros<int64_t> hits;
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

// All parts' cells of a class, added in their order.
struct Joined {
    const Parts& parts;
    int64_t *rows, *hits;
    double* probability;
};
void join_class(void* context, Index number, void*) {
    const Joined& to = *static_cast<Joined*>(context);
    const Index cells = to.parts.task.cells;
    for (Index i = number * cells; i < (number + 1) * cells; i++) {
        double rows = 0, probability = 0;
        int64_t hits = 0;
        for (const Part& part : to.parts.all) {
            rows += part.sums.cell[i].rows;
            hits += part.sums.hits[i];
            probability += part.sums.cell[i].probability;
        }
        to.rows[i] = static_cast<int64_t>(rows);
        to.hits[i] = hits;
        to.probability[i] = probability;
    }
}

// The numbers of a table at a row and a column each; column -1 is the last one.
struct Picks {
    const double* table;
    const Index rows, columns, places, places_per_unit;
    const BufferView &row, &column;
    double* out;
    std::atomic<bool> outside{false};

    bool pick(Index first, Index last) const {
        const bool is_wide = column.item() == 8;
        bool inside = true;
        for (Index i = first; i < last; i++) {
            const int64_t r = row.as<int64_t>()[i], c = is_wide ? column.as<int64_t>()[i] : column.as<int32_t>()[i];
            const bool here = r >= 0 && r < rows && c >= -1 && c < columns;
            inside &= here;
            if (here) out[i] = table[r * columns + (c < 0 ? columns - 1 : c)];
        }
        return inside;
    }
};
void pick_some(void* context, Index unit, void*) {
    Picks& picks = *static_cast<Picks*>(context);
    const Index first = unit * picks.places_per_unit, last = std::min(picks.places, first + picks.places_per_unit);
    if (!picks.pick(first, last)) picks.outside = true;
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

PyObject* sum_bin_sets(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    static const char expected[] = "expected values, flags of one size, rising edges of each set from the same first "
                                   "to the same last one, how many sets have sums";
    BufferView value, flag;
    BinnedColumn column;
    if (count != 4 || !PyTuple_Check(arguments[2]) || !value.open(arguments[0], PyBUF_C_CONTIGUOUS) ||
        value.bytes() % 8 != 0 || !open_column(arguments[1], value.bytes() / 8, flag, column) || !column.flag)
        return refuse(expected);
    const Py_ssize_t rows = value.bytes() / 8, sets = PyTuple_GET_SIZE(arguments[2]);
    const Py_ssize_t summed = PyLong_AsSsize_t(arguments[3]);
    if (PyErr_Occurred()) return nullptr;
    if (sets < 1 || summed < 0 || summed > sets) return refuse(expected);
    const BinnedRows binned = {value.as<double>(), nullptr, &column, 1};
    const Index parts = rows < least_parallel ? 1 : row_parts;
    try {
        std::unique_ptr<BufferView[]> views(new BufferView[static_cast<size_t>(sets)]);
        std::vector<BinSets::Edges> edges;
        for (Py_ssize_t set = 0; set < sets; set++) {
            BufferView& view = views[static_cast<size_t>(set)];
            if (!view.open(PyTuple_GET_ITEM(arguments[2], set), PyBUF_C_CONTIGUOUS) || view.bytes() % 8 != 0 ||
                view.bytes() < 16)
                return refuse(expected);
            const BinSets::Edges one = {view.as<double>(), static_cast<size_t>(view.bytes() / 8 - 1)};
            edges.push_back(one);
            if (one.edge[0] != edges[0].edge[0] || one.edge[one.bins] != edges[0].edge[edges[0].bins])
                return refuse(expected);
        }
        const BinSets found(binned, edges, static_cast<size_t>(summed));
        SetParts work = {found, rows, (rows + parts - 1) / parts, {}};
        work.sums.resize(found.size() * static_cast<size_t>(parts));
        Owned done(run_released(sum_sets, &work, parts, rows)), result(PyTuple_New(sets));
        if (!done.object || !result.object) return nullptr;
        for (size_t set = 0; set < edges.size(); set++) {
            const size_t width = set < static_cast<size_t>(summed) ? 3 : 2;
            PyObject* sums = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(8 * width * edges[set].bins));
            if (!sums) return nullptr;
            found.join(work.sums.data(), static_cast<size_t>(parts), set, edges[set].bins,
                       reinterpret_cast<double*>(PyBytes_AS_STRING(sums)));
            PyTuple_SET_ITEM(result.object, static_cast<Py_ssize_t>(set), sums);
        }
        return result.release();
    } catch (const std::bad_alloc&) {
        return PyErr_NoMemory();
    }
}

PyObject* pick_numbers(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    static const char expected[] = "expected a table of float64, its row and column at each place, and as many results";
    BufferView table, row, column, out;
    if (count != 4 || !table.open(arguments[0], PyBUF_ND) || !row.open(arguments[1], PyBUF_C_CONTIGUOUS) ||
        !column.open(arguments[2], PyBUF_C_CONTIGUOUS) ||
        !out.open(arguments[3], PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) || table.view().ndim != 2 || table.item() != 8)
        return refuse(expected);
    const Index places = out.bytes() / 8;
    const bool is_wide = column.item() == 8;
    if (out.bytes() % 8 != 0 || row.bytes() != 8 * places || column.bytes() != (is_wide ? 8 : 4) * places)
        return refuse(expected);
    Picks picks = {table.as<double>(), table.length(0), table.length(1), places, 1 << 14, row, column,
                   out.as<double>()};
    Owned done(run_released(pick_some, &picks, (places + picks.places_per_unit - 1) / picks.places_per_unit, places));
    if (done.object && picks.outside) {
        PyErr_SetString(PyExc_IndexError, "a row or column lies outside the table");
        return nullptr;
    }
    return done.release();
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
        Joined joined = {whole, outputs[0].as<int64_t>(), outputs[1].as<int64_t>(), outputs[2].as<double>()};
        Py_DECREF(done);
        done = run_released(join_class, &joined, task.classes, elements);
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
