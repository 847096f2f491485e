// The functions of softmaxlib._kernels, each in the file of its kind. src/softmaxlib/_kernels.pyi has their types.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

namespace softmaxlib {

// softmax and its kin: array in, array out. The last entry is null.
extern PyMethodDef activation_methods[];

// KernelFunction(kernel, function, names, defaults, required, positional): the type of functions that offer a call to a
// kernel first. `names` and `defaults` are those of the kernel's parameters. Of these the first `required` must, and
// the first `positional` may, be given without a name.
PyObject* kernel_function_type(PyObject* module);

// (logits, label, target, weight, where, smoothing, focal, z_loss, scale, losses, gradient): writes the last two. One
// of label and target is None, and any of weight, where and gradient may be.
PyObject* cross_entropy_rows(PyObject* module, PyObject* const* arguments, Py_ssize_t count);

// Of a contiguous array of float64: the sum, the same in any order.
PyObject* sum_exactly(PyObject* module, PyObject* array);

// (logits, target, positive, negative, smoothing, focal, scale, losses, gradient), all arrays along one axis: writes
// the last two. Any of positive, negative and gradient may be None.
PyObject* sigmoid_cross_entropy(PyObject* module, PyObject* const* arguments, Py_ssize_t count);

// Of an array of real numbers: an array of its shape.
PyObject* sigmoid(PyObject* module, PyObject* x);
PyObject* log_sigmoid(PyObject* module, PyObject* x);

// sample(logits, source, filters, parameters, seed, position, token, logprob, processed_logprob) writes the last
// three and returns the first draw whose row cannot be sampled from, or -1. The caller has checked the arguments.
PyObject* sample_tokens(PyObject* module, PyObject* const* arguments, Py_ssize_t count);

// judge(values, is_probabilities, sum_tolerance, calibration, criterion, outputs) writes the outputs.
//   calibration: None, or (temperature, floor, scale, matrix, intercept)
//   criterion: (number, threshold, cost, tie, abstain_cost, own_counts, allow_empty, penalty, penalty_rank)
//   outputs: (calibrated, probabilities, action, confidence, abstained, expected_cost, sets, most_likely)
// score(values, is_probabilities, sum_tolerance, label, outputs) does too.
//   outputs: (most_likely, correct, confidence, doubt, loss, square)
// Both return the first row that breaks a rule, or -1. What is not there is None. The caller has checked the arguments.
PyObject* judge_rows(PyObject* module, PyObject* const* arguments, Py_ssize_t count);
PyObject* score_rows(PyObject* module, PyObject* const* arguments, Py_ssize_t count);

// resembles(logits, off): whether every row lies in 0 to 1 and sums to 1, `off` at most from it.
PyObject* resembles(PyObject* module, PyObject* const* arguments, Py_ssize_t count);

// sum_bins(values, weight, edges, columns) -> the sums over the rows of each bin (b, c] of the weights, of them times
// the value, and of them times each column (float64 or bool), as bytes of doubles; a weight of None is 1.
PyObject* sum_bins(PyObject* module, PyObject* const* arguments, Py_ssize_t count);

// sum_bin_sets(values, flags, (edges, ...), summed) -> for each set of edges, all from the same first to the same last
// one, the number of rows of each bin, the sum of their values (of the first `summed` sets alone), and how many have
// the flag: (3, bins) or (2, bins), as bytes of doubles.
PyObject* sum_bin_sets(PyObject* module, PyObject* const* arguments, Py_ssize_t count);

// pick_numbers(table, rows, columns, out) writes table[row, column] of each place; column -1 is the last one.
PyObject* pick_numbers(PyObject* module, PyObject* const* arguments, Py_ssize_t count);

// sum_to_ranks(values, column, ranks, whole_ties, outputs) -> the number of different values there are at least.
// outputs: (value, rows, sum): for each rank the value there, and how many rows come first and what their column sums
// to: with those of the same value in whole ties, else up to and with the one of that rank.
PyObject* sum_to_ranks(PyObject* module, PyObject* const* arguments, Py_ssize_t count);

// sum_by_key(keys, values, number) -> the exact sums of the values of each key below the number, as bytes of (key,
// shift, high, low): (high * 2^64 + low) * 2^(shift - 1074); a key may have several. None where there are too many for
// a table.
PyObject* sum_by_key(PyObject* module, PyObject* const* arguments, Py_ssize_t count);

// Of contiguous float64 values (sums, numbers), all finite: the exact sum of each row, where it is not 0, in the form
// of sum_by_key.
PyObject* sum_rows(PyObject* module, PyObject* table);

// count_cells(values, is_probabilities, most_likely, confidence, label, first_class, cells_of_log_odds, most_log_odds,
// outputs) writes the outputs: (rows, hits, probability), each (classes, cells), and the probability of each class in
// each row (classes, rows). The first three may be None, and so may the last.
PyObject* count_cells(PyObject* module, PyObject* const* arguments, Py_ssize_t count);

// find_order(values, places) writes the places of the values in rising order, equal ones in that of their places.
PyObject* find_order(PyObject* module, PyObject* const* arguments, Py_ssize_t count);

// draw_counts(seed, first, counts) writes how often each thing is drawn, in as many draws, by the resample of each row.
PyObject* draw_counts(PyObject* module, PyObject* const* arguments, Py_ssize_t count);

// draw_sums(seed, numbers, sums) writes what the numbers of the drawn things, (width, things), sum to in each resample.
PyObject* draw_sums(PyObject* module, PyObject* const* arguments, Py_ssize_t count);

// empty(shape, dtype): an uninitialized array; a large one lies in memory that is used again.
PyObject* empty_array(PyObject* module, PyObject* const* arguments, Py_ssize_t count);

// name_actions(action, names): the name of each action, None for a negative one; actions beyond the names are refused.
PyObject* name_actions(PyObject* module, PyObject* const* arguments, Py_ssize_t count);

template <class F> PyCFunction as_function(F f) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(f));
}

}  // namespace softmaxlib
