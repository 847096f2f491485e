// Matrices of every layout, fixed rows, and the results of the kernels on them as bits.
#pragma once

#include <cinttypes>
#include <cstdlib>
#include <vector>

#include "../dispatch.h"
#include "../schedule.h"
#include "numbers.h"

namespace driver {

inline const KernelTable& kernels() { return *chosen_instruction_set().kernels; }

// Where the numbers of a matrix lie in memory.
struct Layout {
    ptrdiff_t row_stride, class_stride;  // in elements; negative ones run backwards
    int offset;                          // bytes before the first element
    bool swapped;
};

struct Matrix {
    DType type;
    Index rows, classes;
    Layout layout;
    std::vector<char> bytes;
    char* start;

    Matrix(DType t, Index r, Index c, Layout l) : type(t), rows(r), classes(c), layout(l) {
        ptrdiff_t size = size_of(t), low = 0, high = 0;
        for (ptrdiff_t span : {(r - 1) * l.row_stride, (c - 1) * l.class_stride}) (span < 0 ? low : high) += span;
        bytes.assign(static_cast<size_t>((high - low + 1) * size + l.offset), 0x55);
        start = bytes.data() + l.offset - low * size;
    }
    char* at(Index r, Index c) {
        return start + (r * layout.row_stride + c * layout.class_stride) * static_cast<ptrdiff_t>(size_of(type));
    }
    void set(Index r, Index c, uint64_t bits) { put(at(r, c), bits, size_of(type), layout.swapped); }
    uint64_t get(Index r, Index c) { return take(at(r, c), size_of(type), layout.swapped); }
    // What is no number may have any sign: which of two an operation passes on is not laid down.
    uint64_t get_one_nan(Index r, Index c) {
        const uint64_t bits = get(r, c);
        const double value = decode(type, bits);
        return value == value ? bits : ~0ull;
    }
    Operand operand(bool reduced) {
        Operand o = {};
        ptrdiff_t size = static_cast<ptrdiff_t>(size_of(type));
        o.data = start;
        o.dtype = type;
        o.swapped = layout.swapped;
        o.outer[0] = layout.row_stride * size;
        o.inner[0] = reduced ? 0 : layout.class_stride * size;
        return o;
    }
};

inline Task task_of(Function function, Matrix& x, Matrix& out, double temperature) {
    Task task = {};
    task.function = function;
    task.wide = x.type == DType::float64;
    task.temperature = temperature;
    task.rows = x.rows;
    task.classes = x.classes;
    task.outer.count = task.inner.count = 1;
    task.outer.length[0] = x.rows;
    task.inner.length[0] = x.classes;
    task.input = x.operand(false);
    task.output = out.operand(function == Function::logsumexp);
    align_groups(task);
    return task;
}

// The results' bits, rows by classes (or by one).
inline std::vector<uint64_t> results(Function function, Matrix& x, Layout layout, double temperature, int threads,
                                     bool stream, Matrix* tangent = nullptr) {
    Index columns = function == Function::logsumexp ? 1 : x.classes;
    Matrix out(x.type, x.rows, columns, layout);
    Task task = task_of(function, x, out, temperature);
    task.stream = stream;
    if (tangent) task.tangent = tangent->operand(false);
    if (run_task(kernels(), task, threads, nullptr) != Outcome::done) std::abort();
    std::vector<uint64_t> bits;
    for (Index r = 0; r < x.rows; r++)
        for (Index c = 0; c < columns; c++) bits.push_back(tangent ? out.get_one_nan(r, c) : out.get(r, c));
    return bits;
}

struct Shape {
    Index rows, classes;
};
constexpr Shape shapes[] = {{1, 1},    {5, 2},    {33, 3},    {40, 10},   {19, 16},  {18, 17},  {17, 63},
                            {16, 64},  {7, 65},   {35, 100},  {1008, 66}, {18, 300}, {17, 447}, {16, 512},
                            {3, 1000}, {2, 2049}, {20, 4096}, {1, 4097},  {2, 9000}, {1, 70001}};

inline Matrix fixed_rows(DType type, Shape shape, Layout layout) {
    Matrix x(type, shape.rows, shape.classes, layout);
    for (Index r = 0; r < shape.rows; r++) {
        Random random(static_cast<uint64_t>(r * 1000003 + shape.classes));
        RowMaker row(random, type);
        for (Index c = 0; c < shape.classes; c++) x.set(r, c, encode(type, row.next(c == shape.classes / 2)));
    }
    return x;
}

inline Matrix matrix_of(const std::vector<uint64_t>& bits, DType type, Shape shape, Layout layout) {
    Matrix x(type, shape.rows, shape.classes, layout);
    for (Index r = 0; r < shape.rows; r++)
        for (Index c = 0; c < shape.classes; c++) x.set(r, c, bits[static_cast<size_t>(r * shape.classes + c)]);
    return x;
}

struct Hash {
    uint64_t value = 0xcbf29ce484222325ull;
    void add(const std::vector<uint64_t>& bits) {
        for (uint64_t one : bits) value = (value ^ one) * 0x100000001b3ull;
    }
    void print(const char* function, DType type) const {
        std::printf("%s %s %016" PRIx64 "\n", function, name_of(type), value);
    }
};

}  // namespace driver
