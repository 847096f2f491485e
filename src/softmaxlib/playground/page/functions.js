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

function isOne(total) {
  return Math.abs(total - 1) < 1e-9;
}

function isDefined(values) {
  return values.every(Number.isFinite);
}

function hardmax(values) {
  const first = values.indexOf(Math.max(...values));
  return values.map((_, index) => (index === first ? 1 : 0));
}

function divideBySum(values) {
  const total = sum(values);
  return values.map((value) => value / total);
}

/** What 1 added to every score does to the value that it changes the most. */
function withOne(apply, scores, unseen = "too little to be seen at such scores") {
  const [before, after] = [scores, scores.map((score) => score + 1)].map(apply);
  if (!isDefined(after)) return "add 1 to every score, and there is no result";
  if (!isDefined(before)) return `add 1 to every score, and there is one: ${after.map((value) => short(value, 3)).join(", ")}`;
  const changes = after.map((value, index) => Math.abs(value - before[index]));
  const index = changes.indexOf(Math.max(...changes));
  const decimals = [3, 6, 9].find((digits) => short(before[index], digits) !== short(after[index], digits));
  if (decimals === undefined) return unseen;
  return `add 1 to every score, and ${short(before[index], decimals)} becomes ${short(after[index], decimals)}`;
}

function negative(values) {
  const least = Math.min(...values);
  return least < 0 ? `here ${short(least, 3)}` : null;
}

// Each function: how it is computed, and of the rules it breaks, what shows that on these scores. Of a function without
// flat parts, `isFlatAt` tells where the gradient of a class is 0 all the same.
function functionsOf(kernels, temperature) {
  const ofTempered = (apply) => (scores) => apply(scores.map((score) => score / temperature));
  const sumOf = (values) => `here it is ${short(sum(values), 3)}${isOne(sum(values)) ? ", by chance" : ""}`;
  const offset = (_, apply, scores) => withOne(apply, scores);
  return [
    {
      name: "softmax",
      apply: (scores) => kernels.softmax([scores], { temperature })[0],
      breaks: {},
      isFlatAt: (value) => value * (1 - value) === 0,
    },
    {
      name: "sigmoid",
      apply: ofTempered((scores) => kernels.sigmoid(scores)),
      breaks: { sum: sumOf, offset },
      isFlatAt: (value) => value * (1 - value) === 0,
    },
    {
      name: "tanh",
      apply: ofTempered((scores) => scores.map(Math.tanh)),
      breaks: { positive: (values) => negative(values) ?? "a negative score stays negative", sum: sumOf, offset },
      isFlatAt: (value) => 1 - value * value === 0,
    },
    {
      name: "ReLU",
      apply: ofTempered((scores) => scores.map((score) => Math.max(0, score))),
      breaks: { sum: sumOf, offset, slope: () => "below 0 the gradient is 0" },
    },
    {
      name: "divide by the sum",
      code: "normalize",
      apply: ofTempered(divideBySum),
      breaks: {
        positive: (values) => (isDefined(values) && negative(values)) || "a negative score can give a negative value",
        offset: (_, apply, scores) => withOne(apply, scores, scores.every((score) => score === scores[0]) ? "equal scores hide it" : undefined),
      },
      isFlatAt: (value, values) => value !== 0 && values.filter((other) => other !== 0).length === 1, // 1 at any score
    },
    {
      name: "sparsemax",
      apply: ofTempered((scores) => kernels.sparsemax([scores])[0]),
      breaks: { slope: flatInSparsemax },
    },
    {
      name: "hardmax",
      apply: hardmax,
      breaks: { slope: () => "the gradient is 0 everywhere it exists" },
    },
  ];
}

function flatInSparsemax(values) {
  const zeros = values.filter((value) => value === 0).length;
  return zeros ? `${zeros} of ${values.length} classes are at exactly 0 here, with no gradient` : "a class at exactly 0 has no gradient, though none is there now";
}

/** Whether these values keep a rule that the function keeps in general, and what to say of it. */
function judge(rule, { isFlatAt }, values, scale) {
  const { kept, broken } = RULES[rule];
  if (rule === "positive" && negative(values)) return [false, broken, negative(values)];
  if (rule === "sum" && !isDefined(values)) return [false, broken, "there is no result"];
  if (rule === "sum" && !isOne(sum(values))) return [false, broken, `here it is ${short(sum(values), 3)}, by rounding`];
  if (rule === "slope" && !isDefined(values)) return [false, "No class can learn here", "there is no result"];
  if (rule === "slope" && scale === 0) return [true, "No flat parts", "but at scale 0 nothing depends on the logits"];
  const flat = rule === "slope" ? values.filter((value) => isFlatAt(value, values)).length : 0;
  if (flat) return [true, "No flat parts", `but here the gradient of ${flat} of ${values.length} classes comes out as 0`];
  return [true, kept, null];
}

function ruleOf(rule, one, values, scores, scale) {
  const broken = one.breaks[rule];
  const [isKept, text, evidence] = broken
    ? [false, RULES[rule].broken, broken(values, one.apply, scores)]
    : judge(rule, one, values, scale);
  const more = evidence ? [isKept ? ", " : ": ", html("span", {}, evidence)] : [];
  return html("li", { class: isKept ? "kept" : "broken" }, text, ...more);
}

function card(one, { names, scale }, scores) {
  const values = one.apply(scores);
  const finite = values.filter(Number.isFinite);
  const range = { low: Math.min(0, ...finite), high: Math.max(1, ...finite) };
  const missing = isDefined(values) ? [] : [html("p", { class: "bad" }, "No result: the scores sum to 0, and nothing can be divided by 0.")];
  return html(
    "article",
    { class: "card", "data-function": one.name },
    html("h3", {}, one.name, ...(one.code ? [" (", html("code", {}, one.code), ")"] : [])),
    ...values.map((value, index) => barRow(names[index], value, { color: classColor(index), ...range })),
    html("div", { class: "total" }, html("span", {}, "sum"), number("span", sum(values))),
    ...missing,
    html("ul", { class: "rules" }, ...Object.keys(RULES).map((rule) => ruleOf(rule, one, values, scores, scale))),
  );
}

export function setUpFunctions(store, kernels) {
  store.subscribe((state) => {
    const scores = scoresOf(state);
    byId("function-cards").replaceChildren(
      ...functionsOf(kernels, state.temperature).map((one) => card(one, state, scores)),
    );
  }, OF_SOFTMAX);
}
