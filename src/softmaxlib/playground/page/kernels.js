// The library's own kernels, compiled to WebAssembly: the same bits as in Python.
//
// A function here takes rows of numbers, all of one length, and returns rows of numbers: those of `dtype`, each of
// which a JavaScript number holds exactly.

import { bitsOfHalf, halfOfBits } from "./float16.js";

const DTYPE_CODES = { float16: 0, float32: 2, float64: 3 };
const FUNCTION_CODES = { softmax: 0, log_softmax: 1, logsumexp: 2 };
const FILTER_CODES = { temperature: 0, top_k: 1, top_p: 2, min_p: 3 };
const ALIGNMENT = 64;

const FORMATS = {
  float16: {
    bytes: 2,
    write: (memory, at, values) => new Uint16Array(memory, at, values.length).set(values.map(bitsOfHalf)),
    read: (memory, at, count) => Array.from(new Uint16Array(memory, at, count), halfOfBits),
  },
  float32: {
    bytes: 4,
    write: (memory, at, values) => new Float32Array(memory, at, values.length).set(values),
    read: (memory, at, count) => Array.from(new Float32Array(memory, at, count)),
  },
  float64: {
    bytes: 8,
    write: (memory, at, values) => new Float64Array(memory, at, values.length).set(values),
    read: (memory, at, count) => Array.from(new Float64Array(memory, at, count)),
  },
};

function inRows(numbers, classes) {
  const rows = [];
  for (let start = 0; start < numbers.length; start += classes) rows.push(numbers.slice(start, start + classes));
  return rows;
}

export class Kernels {
  #exports;
  #next = 0;

  constructor(exports) {
    this.#exports = exports;
  }

  static async load(bytes) {
    const { instance } = await WebAssembly.instantiate(bytes, {});
    return new Kernels(instance.exports);
  }

  softmax(rows, { dtype = "float64", temperature = 1 } = {}) {
    return this.#activate("softmax", rows, dtype, temperature);
  }

  logSoftmax(rows, { dtype = "float64", temperature = 1 } = {}) {
    return this.#activate("log_softmax", rows, dtype, temperature);
  }

  /** One number a row. */
  logsumexp(rows, { dtype = "float64" } = {}) {
    return this.#activate("logsumexp", rows, dtype, 1).map(([sum]) => sum);
  }

  sparsemax(rows, { dtype = "float64" } = {}) {
    const { count, classes, input, output } = this.#operands(rows, dtype);
    this.#exports.sparsemax(DTYPE_CODES[dtype], count, classes, input, output);
    return this.#results(output, count, classes, dtype);
  }

  /** The elements of sigmoid(x), as the first of the two classes with logits x and 0. */
  sigmoid(values) {
    return this.softmax(values.map((value) => [value, 0])).map(([first]) => first);
  }

  /** Jacobian times tangent, row by row. */
  softmaxJvp(probabilities, tangents, { dtype = "float64" } = {}) {
    const { count, classes, input, output } = this.#operands(probabilities, dtype);
    const tangent = this.#place(tangents.flat(), dtype);
    this.#exports.softmax_jvp(DTYPE_CODES[dtype], count, classes, input, tangent, output);
    return this.#results(output, count, classes, dtype);
  }

  /** The loss of each row, and the gradient of their sum times `scale`. */
  crossEntropy(logits, labels, { dtype = "float64", smoothing = 0, scale = 1 } = {}) {
    const { count, classes, input, output } = this.#operands(logits, dtype);
    const label = this.#take(8 * count);
    new BigInt64Array(this.#memory, label, count).set(labels.map(BigInt));
    const loss = this.#take(8 * count);
    this.#exports.cross_entropy(DTYPE_CODES[dtype], count, classes, input, label, smoothing, scale, loss, output);
    return {
      losses: FORMATS.float64.read(this.#memory, loss, count),
      gradients: this.#results(output, count, classes, dtype),
    };
  }

  /** The token drawn from one row after `filters`, pairs of name and parameter, and which tokens they left. */
  draw(logits, filters, { seed = 0, position = 0 } = {}) {
    this.#next = 0;
    const input = this.#place(logits, "float64");
    const parameters = this.#place(filters.map(([, parameter]) => parameter), "float64");
    const codes = this.#take(filters.length);
    new Uint8Array(this.#memory, codes, filters.length).set(filters.map(([name]) => FILTER_CODES[name]));
    const marks = this.#take(logits.length);
    const kept = new Uint8Array(this.#memory, marks, logits.length).fill(0);
    const token = this.#exports.draw(
      logits.length, input, filters.length, codes, parameters, seed, position, marks,
    );
    return { token, kept: Array.from(kept, Boolean) };
  }

  get #memory() {
    return this.#exports.memory.buffer;
  }

  #activate(name, rows, dtype, temperature) {
    const { count, classes, input, output } = this.#operands(rows, dtype);
    this.#exports.activate(FUNCTION_CODES[name], DTYPE_CODES[dtype], temperature, count, classes, input, output);
    return this.#results(output, count, name === "logsumexp" ? 1 : classes, dtype);
  }

  #operands(rows, dtype) {
    this.#next = 0;
    const count = rows.length;
    const classes = rows[0].length;
    const input = this.#place(rows.flat(), dtype);
    return { count, classes, input, output: this.#take(count * classes * FORMATS[dtype].bytes) };
  }

  #results(at, count, classes, dtype) {
    return inRows(FORMATS[dtype].read(this.#memory, at, count * classes), classes);
  }

  #place(numbers, dtype) {
    const at = this.#take(numbers.length * FORMATS[dtype].bytes);
    FORMATS[dtype].write(this.#memory, at, numbers);
    return at;
  }

  #take(bytes) {
    const at = this.#next;
    this.#next = Math.ceil((at + bytes) / ALIGNMENT) * ALIGNMENT;
    if (this.#next > this.#exports.room_bytes()) throw new RangeError("too many numbers for one call of a kernel");
    return this.#exports.room() + at;
  }
}
