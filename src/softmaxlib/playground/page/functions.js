// Softmax beside the functions that one might try in its place, and which rules each of them breaks.

import { barRow, byId, classColor, html, number, short } from "./dom.js";
import { OF_SOFTMAX, scoresOf } from "./state.js";

const RULES = {
  positive: { kept: "No value is negative", broken: "Can be negative" },
  sum: { kept: "The sum is 1", broken: "The sum is not 1" },
  offset: { kept: "An offset changes nothing", broken: "An offset changes it" },
  slope: { kept: "No flat parts: every class can learn", broken: "Has flat parts" },
};

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

function hardmax(values) {
  const first = values.indexOf(Math.max(...values));
  return values.map((_, index) => (index === first ? 1 : 0));
}

function normalize(values) {
  const total = sum(values);
  return values.map((value) => value / total);
}

function withOne(apply, scores, index = 0) {
  const before = apply(scores)[index];
  const after = apply(scores.map((score) => score + 1))[index];
  const decimals = [3, 6, 9].find((digits) => short(before, digits) !== short(after, digits));
  if (decimals === undefined) return "too little to be seen at such scores";
  return `add 1 to every score, and ${short(before, decimals)} becomes ${short(after, decimals)}`;
}

function negative(values) {
  const least = Math.min(...values);
  return least < 0 ? `here ${short(least, 3)}` : null;
}

// Each function: how it is computed, and of the rules it breaks, what shows that on these scores.
function functionsOf(kernels, temperature) {
  const softmax = (scores) => kernels.softmax([scores], { temperature })[0];
  const sumOf = (values) => `here it is ${short(sum(values), 3)}${Math.abs(sum(values) - 1) < 1e-9 ? ", by chance" : ""}`;
  return [
    { name: "softmax", apply: softmax, breaks: {} },
    {
      name: "sigmoid",
      apply: (scores) => kernels.sigmoid(scores),
      breaks: { sum: sumOf, offset: (_, apply, scores) => withOne(apply, scores) },
    },
    {
      name: "tanh",
      apply: (scores) => scores.map(Math.tanh),
      breaks: {
        positive: (values) => negative(values) ?? "a negative score stays negative",
        sum: sumOf,
        offset: (_, apply, scores) => withOne(apply, scores),
      },
    },
    {
      name: "ReLU",
      apply: (scores) => scores.map((score) => Math.max(0, score)),
      breaks: {
        sum: sumOf,
        offset: (_, apply, scores) => withOne(apply, scores, scores.indexOf(Math.max(...scores))),
        slope: () => "below 0 the gradient is 0",
      },
    },
    {
      name: "standard normalization",
      apply: normalize,
      breaks: {
        positive: (values, _, scores) =>
          sum(scores) === 0 ? "the scores sum to 0, and nothing is defined" : negative(values) ?? "a negative score can give a negative value",
        offset: (_, apply, scores) => withOne(apply, scores),
      },
    },
    {
      name: "sparsemax",
      apply: (scores) => kernels.sparsemax([scores])[0],
      breaks: { slope: (values) => `${values.filter((value) => value === 0).length} of ${values.length} classes are at exactly 0 here, with no gradient` },
    },
    {
      name: "hardmax",
      apply: hardmax,
      breaks: { slope: () => "the gradient is 0 everywhere it exists" },
    },
  ];
}

function card({ name, apply, breaks }, scores, names) {
  const values = apply(scores);
  const finite = values.filter(Number.isFinite);
  const range = { low: Math.min(0, ...finite), high: Math.max(1, ...finite) };
  const total = sum(values);
  const rules = Object.entries(RULES).map(([rule, { kept, broken }]) => {
    const evidence = breaks[rule];
    return evidence
      ? html("li", { class: "broken" }, `${broken}: `, html("span", {}, evidence(values, apply, scores)))
      : html("li", {}, kept);
  });
  return html(
    "article",
    { class: "card", "data-function": name },
    html("h3", {}, name),
    ...values.map((value, index) => barRow(names[index], value, { color: classColor(index), ...range })),
    html("div", { class: "total" }, html("span", {}, "sum"), number("span", total)),
    html("ul", { class: "rules" }, ...rules),
  );
}

export function setUpFunctions(store, kernels) {
  store.subscribe((state) => {
    const scores = scoresOf(state);
    byId("function-cards").replaceChildren(
      ...functionsOf(kernels, state.temperature).map((one) => card(one, scores, state.names)),
    );
  }, OF_SOFTMAX);
}
