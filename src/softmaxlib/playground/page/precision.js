// Softmax as first written, beside the stable computation, in each of three formats.

import { byId, html, number, short, table } from "./dom.js";
import { roundToHalf } from "./float16.js";
import { button } from "./inputs.js";
import { OF_SOFTMAX, scoresOf } from "./state.js";

const FORMATS = {
  float16: { round: roundToHalf, largest: 65504, exponent: 11.09 },
  float32: { round: Math.fround, largest: 3.4028234663852886e38, exponent: 88.72 },
  float64: { round: (value) => value, largest: Number.MAX_VALUE, exponent: 709.78 },
};
const EXAMPLES = [
  ["1000, 1001, 1002", [1000, 1001, 1002]],
  ["90, 89, 88", [90, 89, 88]],
  ["12, 11, 10", [12, 11, 10]],
  ["−1000, −1001, −1002", [-1000, -1001, -1002]],
  ["0, −20, −110", [0, -20, -110]],
];

/** exp(z / T) / sum(exp(z / T)), each step rounded to the format. */
export function naiveSoftmax(scores, temperature, round) {
  const weights = scores.map((score) => round(Math.exp(round(round(score) / round(temperature)))));
  const sum = weights.reduce((total, weight) => round(total + weight), 0);
  const probabilities = weights.map((weight) => round(weight / sum));
  return { weights, sum, probabilities, logarithms: probabilities.map((p) => round(Math.log(p))) };
}

function diagnosis(name, naive, stable, scores) {
  const { largest, exponent } = FORMATS[name];
  const lost = naive.probabilities.filter((p, index) => p === 0 && stable[index] > 0).length;
  if (scores.some((score) => Math.abs(score) > largest))
    return ["bad", `A score is beyond the largest number of ${name}, ${largest}: it is infinite before anything is computed.`];
  if (naive.weights.includes(Infinity))
    return ["bad", `Overflow: exp of more than ${exponent} is beyond the largest number of ${name}. inf / inf = NaN, and anything / inf = 0.`];
  if (naive.sum === Infinity) return ["bad", "Overflow: the sum is beyond the largest number, and all is divided by inf."];
  if (naive.sum === 0) return ["bad", "Underflow: every exp is 0, and 0 / 0 = NaN."];
  if (lost) return ["bad", `Underflow: ${lost} of ${scores.length} probabilities became 0.`];
  if (naive.logarithms.includes(-Infinity))
    return ["bad", "The probability of a class underflows to 0, and its logarithm to −inf. log_softmax keeps it."];
  const worst = Math.max(...stable.map((p, index) => (p > 0 ? Math.abs(naive.probabilities[index] / p - 1) : 0)));
  return ["good", `No overflow here: the naive result is off by at most ${short(100 * worst, 2)}%.`];
}

function card(name, state, kernels) {
  const { round } = FORMATS[name];
  const scores = scoresOf(state);
  const { temperature } = state;
  const naive = naiveSoftmax(scores, temperature, round);
  const [stable] = kernels.softmax([scores], { dtype: name, temperature });
  const [logarithms] = kernels.logSoftmax([scores], { dtype: name, temperature });
  const head = ["class", "exp(z / T)", "naive p", "stable p", "log of naive p", "log_softmax"];
  const rows = state.names.map((label, index) => [
    label,
    number("td", naive.weights[index]),
    number("td", naive.probabilities[index]),
    number("td", stable[index], { kind: "stable" }),
    number("td", naive.logarithms[index], { kind: naive.logarithms[index] < logarithms[index] - 1 ? "bad" : "" }),
    number("td", logarithms[index], { kind: "stable-log" }),
  ]);
  const [kind, text] = diagnosis(name, naive, stable, scores);
  const content = html("table", {}, ...table(head, rows, ["sum", number("td", naive.sum), html("td"), html("td"), html("td"), html("td")]));
  return html(
    "article",
    { class: "card", "data-format": name },
    html("h3", {}, name),
    html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Naive and stable softmax in ${name}` }, content),
    html("p", { class: `precision-note ${kind}` }, text),
  );
}

export function setUpPrecision(store, kernels) {
  const show = (logits) =>
    store.change({ logits, names: ["first", "second", "third"], temperature: 1, scale: 1, offset: 0, truth: 0 });
  byId("precision-examples").replaceChildren(...EXAMPLES.map(([text, logits]) => button(text, () => show(logits))));
  store.subscribe(
    (state) => byId("precision-cards").replaceChildren(...Object.keys(FORMATS).map((name) => card(name, state, kernels))),
    OF_SOFTMAX,
  );
}
