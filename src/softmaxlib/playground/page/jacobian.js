// The Jacobian of softmax as a heat map.

import { byId, classLabel, html, number, short } from "./dom.js";
import { OF_SOFTMAX, scoresOf } from "./state.js";

const STRONGEST = 45; // percent of the colour in a cell: its text stays legible

/** The derivative of each probability (row) by each logit (column). */
export function jacobianOf(state, kernels) {
  const [p] = kernels.softmax([scoresOf(state)], { temperature: state.temperature });
  const units = p.map((_, column) => p.map((__, index) => (index === column ? 1 : 0)));
  const columns = kernels.softmaxJvp(units.map(() => p), units); // the Jacobian is symmetric
  const factor = state.scale / state.temperature;
  return columns.map((row) => row.map((entry) => entry * factor));
}

function effectOfLogit(scale, largest) {
  if (scale === 0) return "The scale is 0: the scores do not depend on the logits, and every entry is 0.";
  if (largest === 0) return "Every entry rounds to 0 here: one probability is so close to 1 that a small change of a logit moves none.";
  if (scale < 0) return "The scale is negative: raising a logit lowers its own probability and gives to all the others. Every column sums to 0.";
  return "Raising a logit raises its own probability and takes from all the others, so every column sums to 0.";
}

function cell(value, largest) {
  const entry = number("td", value, { text: short(value) });
  entry.style.setProperty("--tint", value < 0 ? "var(--down)" : "var(--up)");
  entry.style.setProperty("--amount", `${largest > 0 ? (STRONGEST * Math.abs(value)) / largest : 0}%`);
  return entry;
}

export function setUpJacobian(store, kernels) {
  store.subscribe((state) => {
    const matrix = jacobianOf(state, kernels);
    const largest = Math.max(...matrix.flat().map(Math.abs));
    byId("jacobian-effect").textContent = effectOfLogit(state.scale, largest);
    const head = ["", ...state.names].map((name) => (name === "" ? html("td") : html("th", { scope: "col" }, name)));
    const rows = matrix.map((row, index) =>
      html(
        "tr",
        {},
        html("th", { scope: "row" }, classLabel(state.names[index], index)),
        ...row.map((value) => cell(value, largest)),
      ),
    );
    byId("jacobian-table").replaceChildren(html("thead", {}, html("tr", {}, ...head)), html("tbody", {}, ...rows));
  }, OF_SOFTMAX);
}
