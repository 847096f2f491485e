// Exact sums by key and of rows. The arrays arrive checked, through the buffer protocol.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <algorithm>
#include <new>
#include <vector>

#include "../row_sums.h"
#include "../key_sums.h"
#include "../lock.h"
#include "bindings.h"
#include "buffer_view.h"
#include "owned.h"
#include "read_rows.h"
#include "run_released.h"

namespace softmaxlib {
namespace {

constexpr Index numbers_of_a_part = 1 << 14;
constexpr size_t most_parts = 1024;  // at once

PyObject* as_bytes(const std::vector<KeySum>& found) {
    return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(found.data()),
                                     static_cast<Py_ssize_t>(found.size() * sizeof(KeySum)));
}

// Some parts of the numbers, each with its sum.
struct Parts {
    const double* value;
    const Index numbers, of_a_row, first;
    std::vector<RowSum> sums;
};
void sum_part(void* context, Index number, void*) {
    Parts& parts = *static_cast<Parts*>(context);
    const Index part = parts.first + number, start = part % parts.of_a_row * numbers_of_a_part,
                stop = std::min(parts.numbers, start + numbers_of_a_part);
    parts.sums[static_cast<size_t>(number)].add(parts.value + part / parts.of_a_row * parts.numbers + start,
                                                static_cast<size_t>(stop - start));
}

}  // namespace

PyObject* sum_by_key(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    static const char expected[] = "expected int64 keys below a number, as many float64 values, and that number";
    BufferView key, value;
    if (count != 3 || !key.open(arguments[0], PyBUF_C_CONTIGUOUS) || !value.open(arguments[1], PyBUF_C_CONTIGUOUS) ||
        key.bytes() != value.bytes() || value.bytes() % 8 != 0)
        return refuse(expected);
    const int64_t keys = PyLong_AsLongLong(arguments[2]);
    if (PyErr_Occurred()) return nullptr;
    const Py_ssize_t rows = value.bytes() / 8;
    const int64_t* numbers = key.as<int64_t>();
    if (keys < 1 || rows > INT32_MAX) return refuse(expected);
    for (Py_ssize_t i = 0; i < rows; i++)
        if (numbers[i] < 0 || numbers[i] >= keys) return refuse(expected);
    try {
        std::vector<KeySum> found;
        bool fits = false;
        {
            Unlocked released;
            fits = sum_by_key(numbers, value.as<double>(), static_cast<size_t>(rows), keys, found);
        }
        if (!fits) Py_RETURN_NONE;
        return as_bytes(found);
    } catch (const std::bad_alloc&) {
        return PyErr_NoMemory();
    }
}

PyObject* sum_rows(PyObject*, PyObject* table) {
    BufferView view;
    if (!view.open(table, PyBUF_ND) || view.view().ndim != 2 || view.item() != 8)
        return refuse("expected float64 values (sums, numbers)");
    const Index rows = view.length(0), numbers = view.length(1),
                of_a_row = (numbers + numbers_of_a_part - 1) / numbers_of_a_part, parts = rows * of_a_row;
    try {
        std::vector<KeySum> found;
        for (Index first = 0; first < parts; first += most_parts) {
            const Index here = std::min<Index>(parts - first, most_parts);
            Parts work = {view.as<double>(), numbers, of_a_row, first, std::vector<RowSum>(static_cast<size_t>(here))};
            Owned done(run_released(sum_part, &work, here, here * std::min(numbers, numbers_of_a_part)));
            if (!done.object) return nullptr;
            for (Index part = 0; part < here; part++)
                work.sums[static_cast<size_t>(part)].append_to(found, (first + part) / of_a_row);
        }
        return as_bytes(found);
    } catch (const std::bad_alloc&) {
        return PyErr_NoMemory();
    }
}

}  // namespace softmaxlib
