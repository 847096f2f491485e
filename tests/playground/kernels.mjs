// Runs the playground's kernels on the cases that come as JSON on standard input, and prints a hash of the bits of each
// result. usage: node kernels.mjs FOLDER_OF_THE_PAGE KERNELS.WASM.GZ
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { gunzipSync } from "node:zlib";

const [folder, wasm] = process.argv.slice(2);
const page = (name) => import(pathToFileURL(`${folder}/${name}`));
const { Kernels } = await page("kernels.js");
const { bitsOfHalf } = await page("float16.js");
const kernels = await Kernels.load(gunzipSync(readFileSync(wasm)));

const ARRAYS = {
  float16: (numbers) => Uint16Array.from(numbers, bitsOfHalf),
  float32: (numbers) => Float32Array.from(numbers),
  float64: (numbers) => Float64Array.from(numbers),
};

function numbers(text) {
  const bytes = Buffer.from(text, "base64");
  return Array.from(new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)));
}
function rows(text, classes) {
  const all = numbers(text);
  return Array.from({ length: all.length / classes }, (_, row) => all.slice(row * classes, (row + 1) * classes));
}
function hash(values, dtype) {
  // every NaN is the same NaN
  const array = ARRAYS[dtype](values.map((value) => (Number.isNaN(value) ? NaN : value)));
  return createHash("sha256").update(Buffer.from(array.buffer)).digest("hex");
}

const RUN = {
  softmax: (x, { dtype, temperature }) => [kernels.softmax(x, { dtype, temperature }).flat()],
  log_softmax: (x, { dtype, temperature }) => [kernels.logSoftmax(x, { dtype, temperature }).flat()],
  logsumexp: (x, { dtype }) => [kernels.logsumexp(x, { dtype })],
  sparsemax: (x, { dtype }) => [kernels.sparsemax(x, { dtype }).flat()],
  softmax_jvp: (x, { dtype, classes, tangent }) => [
    kernels.softmaxJvp(x, rows(tangent, classes), { dtype }).flat(),
  ],
  cross_entropy: (x, { dtype, labels, smoothing, scale }) => {
    const { losses, gradients } = kernels.crossEntropy(x, labels, { dtype, smoothing, scale });
    return [gradients.flat(), losses];
  },
  draw: (x, { filters, seed, position }) => {
    const drawn = x.map((row) => kernels.draw(row, filters, { seed, position }));
    return [drawn.flatMap(({ kept }) => kept.map(Number)), drawn.map(({ token }) => token)];
  },
};

const answers = JSON.parse(readFileSync(0, "utf8")).map((one) => {
  const results = RUN[one.function](rows(one.data, one.classes), one);
  return results.map((values) => hash(values, one.dtype));
});
process.stdout.write(JSON.stringify(answers));
