// Decisions, and what metrics are made of. The arrays arrive checked, through the buffer protocol.

#include "numpy_arrays.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <memory>
#include <new>

#include "../dispatch.h"
#include "../execute.h"
#include "../interrupt.h"
#include "../lock.h"
#include "../schedule.h"
#include "bindings.h"
#include "read_rows.h"

namespace softmaxlib {
namespace {

// The task, cut into runs of rows.
template <class T> struct Plan {
    const T& task;
    Index (*const kernel)(const T&, Index first, Index last, void* scratch);
    const size_t scratch_bytes;
    const Index rows_per_unit;
    std::atomic<Index> first_wrong;
    std::atomic<bool> no_memory{false};
};

template <class T> void run_rows(void* context, Index unit, void* scratch) {
    Plan<T>& plan = *static_cast<Plan<T>*>(context);
    std::unique_ptr<char[]> own;
    if (plan.scratch_bytes > scratch_bytes) {
        own.reset(new (std::nothrow) char[plan.scratch_bytes]);
        scratch = own.get();
        if (!scratch) {
            plan.no_memory = true;
            return;
        }
    }
    const Index first = unit * plan.rows_per_unit, last = std::min(plan.task.rows.rows, first + plan.rows_per_unit);
    const Index wrong = plan.kernel(plan.task, first, last, scratch);
    Index known = plan.first_wrong;
    while (wrong >= 0 && wrong < known && !plan.first_wrong.compare_exchange_weak(known, wrong)) {}
}

bool interrupted(void*) { return signal_arrived(); }

// The first row that breaks a rule, or -1, as a Python number; null with an error set.
template <class T>
PyObject* run_plan(const T& task, Index (*kernel)(const T&, Index, Index, void*), size_t scratch_bytes) {
    const RowsOfClasses& rows = task.rows;
    const Index elements = rows.rows * rows.classes;
    const int threads = elements < least_parallel ? 1 : available_threads();
    Index per_unit = threads == 1 && elements < least_interrupted ? rows.rows : least_parallel / rows.classes;
    per_unit = std::max<Index>(1, (per_unit + 2 * group_rows - 1) / (2 * group_rows)) * 2 * group_rows;
    Plan<T> plan = {task, kernel, scratch_bytes, per_unit, {rows.rows}};
    const Work work = {run_rows<T>, &plan, (rows.rows + per_unit - 1) / per_unit, true,
                       elements < least_interrupted ? nullptr : interrupted};
    Outcome outcome;
    if (elements < least_released) {
        outcome = run(work, threads, Crew::own);
    } else {
        Unlocked released;
        outcome = run(work, threads, Crew::own);
    }
    if (outcome == Outcome::interrupted) return nullptr;
    if (outcome == Outcome::no_memory || plan.no_memory) return PyErr_NoMemory();
    return PyLong_FromLong(plan.first_wrong == rows.rows ? -1 : plan.first_wrong.load());
}

}  // namespace

PyObject* judge_rows(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    static const char expected[] =
        "expected values, is_probabilities, sum_tolerance, calibration, criterion, outputs of one size";
    if (count != 6 || (arguments[3] != Py_None && !is_tuple_of(arguments[3], 5)) || !is_tuple_of(arguments[4], 9) ||
        !is_tuple_of(arguments[5], 10))
        return refuse(expected);
    BufferView values, constants[5], outputs[10];
    JudgeTask task = {};
    if (!values.open(arguments[0], PyBUF_STRIDES | PyBUF_FORMAT) || !read_rows(values, task.rows) ||
        !open_all(outputs, arguments[5], PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE))
        return refuse(expected);
    PyObject *calibration = arguments[3], *criterion = arguments[4];
    const auto number = [](PyObject* tuple, int at) { return PyFloat_AsDouble(PyTuple_GET_ITEM(tuple, at)); };
    const auto is_true = [](PyObject* tuple, int at) { return PyTuple_GET_ITEM(tuple, at) == Py_True; };
    task.rows.probabilities = arguments[1] == Py_True;
    task.rows.sum_tolerance = PyFloat_AsDouble(arguments[2]);
    if (calibration != Py_None) {
        task.temperature = number(calibration, 0);
        task.floor = number(calibration, 1);
        for (int i = 0; i < 3; i++)
            if (!constants[i].open_unless_none(PyTuple_GET_ITEM(calibration, 2 + i), PyBUF_C_CONTIGUOUS))
                return nullptr;
    }
    const long code = PyLong_AsLong(PyTuple_GET_ITEM(criterion, 0));
    for (int i = 0; i < 2; i++)
        if (!constants[3 + i].open_unless_none(PyTuple_GET_ITEM(criterion, 1 + i), PyBUF_C_CONTIGUOUS)) return nullptr;
    task.tie = number(criterion, 3);
    task.abstain_cost = number(criterion, 4);
    task.own_counts = is_true(criterion, 5);
    task.allow_empty = is_true(criterion, 6);
    task.penalty = number(criterion, 7);
    task.penalty_rank = PyLong_AsLong(PyTuple_GET_ITEM(criterion, 8));
    if (PyErr_Occurred()) return nullptr;
    const Py_ssize_t rows = task.rows.rows, classes = task.rows.classes, number_bytes = task.rows.wide ? 8 : 4;
    task.scale = constants[0].as<double>();
    task.matrix = constants[1].as<double>();
    task.intercept = constants[2].as<double>();
    task.threshold = constants[3].as<double>();
    task.cost = constants[4].as<double>();
    task.actions = task.cost && classes ? constants[4].bytes() / 8 / classes : 0;
    if (code < 0 || code > static_cast<long>(Criterion::ordered_sets)) return refuse(expected);
    task.criterion = static_cast<Criterion>(code);
    const Py_ssize_t thresholds = task.criterion == Criterion::confidence ? 1 : classes;
    const Py_ssize_t constant_bytes[5] = {8 * classes, 8 * classes * classes, 8 * classes, 8 * thresholds,
                                          8 * classes * task.actions};
    const Py_ssize_t output_bytes[10] = {rows * classes * number_bytes,
                                         rows * classes * number_bytes,
                                         8 * rows,
                                         8 * rows,
                                         rows,
                                         8 * rows,
                                         rows * classes,
                                         4 * rows,
                                         8 * rows,
                                         8 * rows};
    const bool needs_threshold = task.criterion != Criterion::most_likely && task.criterion != Criterion::cost;
    const bool needs_sets = task.criterion == Criterion::score_sets || task.criterion == Criterion::ordered_sets;
    const bool is_whole = outputs[2].as<void>() && outputs[3].as<void>() && outputs[4].as<void>() && classes > 0 &&
                          needs_threshold == (task.threshold != nullptr) &&
                          needs_sets == (outputs[6].as<void>() != nullptr) &&
                          (task.criterion == Criterion::cost) == (task.cost && outputs[5].as<void>()) &&
                          (outputs[8].as<void>() != nullptr) == (outputs[9].as<void>() != nullptr) &&
                          (task.intercept != nullptr) == (task.scale || task.matrix);
    if (!is_whole || !have_bytes(constants, constant_bytes) || !have_bytes(outputs, output_bytes))
        return refuse(expected);
    task.softmax = chosen_instruction_set().kernels->groups;
    task.calibrated = outputs[0].as<void>();
    task.chances = outputs[1].as<void>();
    task.action = outputs[2].as<int64_t>();
    task.confidence = outputs[3].as<double>();
    task.abstained = outputs[4].as<bool>();
    task.expected_cost = outputs[5].as<double>();
    task.sets = outputs[6].as<bool>();
    task.most_likely = outputs[7].as<int32_t>();
    task.cheapest = outputs[8].as<int64_t>();
    task.cheapest_cost = outputs[9].as<double>();
    return run_plan(task, chosen_instruction_set().decisions->judge, judge_scratch_bytes(classes, task.actions));
}

PyObject* score_rows(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    static const char expected[] = "expected values, is_probabilities, sum_tolerance, label, outputs of one size";
    if (count != 5 || !is_tuple_of(arguments[4], 6)) return refuse(expected);
    BufferView values, label, outputs[6];
    ScoreTask task = {};
    if (!values.open(arguments[0], PyBUF_STRIDES | PyBUF_FORMAT) || !read_rows(values, task.rows) ||
        !label.open_unless_none(arguments[3], PyBUF_C_CONTIGUOUS) ||
        !open_all(outputs, arguments[4], PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE))
        return refuse(expected);
    task.rows.probabilities = arguments[1] == Py_True;
    task.rows.sum_tolerance = PyFloat_AsDouble(arguments[2]);
    if (PyErr_Occurred()) return nullptr;
    const Py_ssize_t rows = task.rows.rows, classes = task.rows.classes;
    const bool needs_label = outputs[1].as<void>() || outputs[4].as<void>() || outputs[5].as<void>();
    if (classes == 0 || (needs_label && !label.as<void>()) || (label.as<void>() && label.bytes() != 8 * rows) ||
        !have_bytes(outputs, {8 * rows, rows, 8 * rows, 8 * rows, 8 * rows, 8 * rows}))
        return refuse(expected);
    task.label = label.as<int64_t>();
    task.most_likely = outputs[0].as<int64_t>();
    task.correct = outputs[1].as<bool>();
    task.confidence = outputs[2].as<double>();
    task.doubt = outputs[3].as<double>();
    task.loss = outputs[4].as<double>();
    task.square = outputs[5].as<double>();
    return run_plan(task, chosen_instruction_set().decisions->score, score_scratch_bytes(classes));
}

PyObject* resembles(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    BufferView values;
    RowsOfClasses rows;
    if (count != 2 || !values.open(arguments[0], PyBUF_STRIDES | PyBUF_FORMAT) || !read_rows(values, rows))
        return refuse("expected rows of logits, and how far a sum may be from 1");
    const double off = PyFloat_AsDouble(arguments[1]);
    if (PyErr_Occurred()) return nullptr;
    const auto at = [&](const char* p) {
        double wide;
        float narrow;
        rows.wide ? std::memcpy(&wide, p, 8) : std::memcpy(&narrow, p, 4);
        return rows.wide ? wide : narrow;
    };
    for (Index r = 0; r < rows.rows; r++) {  // of logits, one of the first rows shows it
        double sum = 0;
        bool inside = true;
        for (Index k = 0; k < rows.classes && inside; k++) {
            const double x = at(rows.data + r * rows.row_stride + k * rows.class_stride);
            inside = x >= 0 && x <= 1 + 1e-6;
            sum += x;
        }
        if (!inside || std::fabs(sum - 1) > off) Py_RETURN_FALSE;
    }
    Py_RETURN_TRUE;
}

PyObject* empty_array(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    PyArray_Dims shape = {};
    PyArray_Descr* descr = nullptr;
    if (count != 2) return refuse("expected a shape and a dtype");
    if (!PyArray_IntpConverter(arguments[0], &shape)) return nullptr;
    PyObject* result = nullptr;
    if (PyArray_DescrConverter(arguments[1], &descr)) {
        result = new_result(nullptr, false, shape.len, shape.ptr, descr);
        Py_DECREF(descr);
    }
    PyDimMem_FREE(shape.ptr);
    return result;
}

PyObject* name_actions(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    BufferView action;
    if (count != 2 || !PyTuple_Check(arguments[1]) || !action.open(arguments[0], PyBUF_C_CONTIGUOUS) ||
        action.bytes() % 8 != 0)
        return refuse("expected numbers of actions and their names");
    npy_intp rows = action.bytes() / 8;
    const Py_ssize_t names = PyTuple_GET_SIZE(arguments[1]);
    const int64_t* number = action.as<int64_t>();
    for (npy_intp row = 0; row < rows; row++)
        if (number[row] >= names) return refuse("expected a name for each action");
    Owned result(PyArray_SimpleNew(1, &rows, NPY_OBJECT));
    if (!result.object) return nullptr;
    PyObject** name = static_cast<PyObject**>(PyArray_DATA(as_array(result)));
    for (npy_intp row = 0; row < rows; row++)
        name[row] = Py_NewRef(number[row] < 0 ? Py_None : PyTuple_GET_ITEM(arguments[1], number[row]));
    return result.release();
}

}  // namespace softmaxlib
