// The probabilities as bars, and softmax step by step.

import { barRow, byId, classColor, classLabel, html, number, percent, plain, short, table } from "./dom.js";
import { OF_SOFTMAX, scoresOf } from "./state.js";

function steps(state, scores, probabilities) {
  const largest = Math.max(...scores);
  const shifted = scores.map((score) => (score - largest) / state.temperature);
  const weights = shifted.map(Math.exp);
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const scaled = state.scale !== 1 || state.offset !== 0;
  const rows = state.names.map((name, index) => [
    classLabel(name, index),
    number("td", state.logits[index], { text: plain(state.logits[index]) }),
    ...(scaled ? [number("td", scores[index])] : []),
    number("td", shifted[index]),
    number("td", weights[index], { text: short(weights[index], 6) }),
    number("td", probabilities[index], { text: short(probabilities[index], 6) }),
  ]);
  const total = sum(probabilities);
  const empty = [html("td"), html("td"), ...(scaled ? [html("td")] : [])];
  const foot = ["sum", ...empty, number("td", sum(weights)), number("td", total, { text: short(total, 6) })];
  const head = ["class", ...(scaled ? ["logit", "score z"] : ["logit z"]), "(z − max) / T", "exp", "probability"];
  return table(head, rows, foot);
}

function listed(names) {
  return names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0];
}

function lead(names, scores, probabilities) {
  const order = scores.map((_, index) => index).sort((a, b) => probabilities[b] - probabilities[a] || scores[b] - scores[a]);
  const [first, second] = order;
  const most = percent(probabilities[first]);
  const margin = probabilities[first] - probabilities[second];
  if (margin === 0) {
    const tied = names.filter((_, index) => probabilities[index] === probabilities[first]);
    return `${listed(tied)} tie at ${most} each.`;
  }
  const behind = names.filter((_, index) => index !== first && scores[index] === scores[second]);
  const points = margin < 0.0005 ? "less than 0.1" : (100 * margin).toFixed(1);
  return `Most likely: ${names[first]}, ${most}, ahead of ${listed(behind)} by ${points} percentage points.`;
}

function summary(names, scores, probabilities) {
  const entropy = probabilities.reduce((sum, p) => (p > 0 ? sum - p * Math.log(p) : sum), 0);
  const most = Math.log(names.length);
  return `${lead(names, scores, probabilities)} Doubt (entropy): ${short(entropy)} nats, where 0 is certainty and ${short(most)} means that all classes are equally likely.`;
}

export function setUpProbabilities(store, kernels) {
  store.subscribe((state) => {
    const scores = scoresOf(state);
    const [probabilities] = kernels.softmax([scores], { temperature: state.temperature });
    byId("bars").replaceChildren(
      ...state.names.map((name, index) => barRow(name, probabilities[index], { color: classColor(index), text: percent(probabilities[index]) })),
    );
    byId("steps").replaceChildren(...steps(state, scores, probabilities));
    byId("summary").textContent = summary(state.names, scores, probabilities);
  }, OF_SOFTMAX);
}
