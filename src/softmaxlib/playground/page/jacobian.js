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
