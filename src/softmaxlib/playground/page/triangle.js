// The simplex of three classes: every distribution over them is one point of a triangle.

import { byId, drawing, html, percent, svg } from "./dom.js";
import { button } from "./inputs.js";
import { OF_SOFTMAX, newName, scoresOf, temperedOf } from "./state.js";

const WIDTH = 500;
const CORNERS = [[60, 300], [440, 300], [250, 30]];
const TEMPERATURES = Array.from({ length: 121 }, (_, step) => 10 ** (-2 + step / 30)); // 0.01 to 100

function place(probabilities) {
  return [0, 1].map((axis) => probabilities.reduce((sum, p, corner) => sum + p * CORNERS[corner][axis], 0));
}

function corner(name, index) {
  const [x, y] = CORNERS[index];
  const below = index < 2;
  const attributes = { x, y: below ? y + 26 : y - 12, "text-anchor": "middle", class: "corner" };
  return svg("text", attributes, name);
}

/** Keeps the names of the corners within the drawing, and shortens those that are too long for it. */
function fitCorners(texts) {
  texts.forEach((text, index) => {
    const name = text.textContent;
    const characters = [...name];
    const room = index < 2 ? WIDTH / 2 - 10 : WIDTH;
    for (let length = characters.length - 1; length > 0 && text.getComputedTextLength() > room; length--)
      text.replaceChildren(`${characters.slice(0, length).join("")}…`, svg("title", {}, name));
    const half = text.getComputedTextLength() / 2;
    text.setAttribute("x", Math.min(WIDTH - half, Math.max(half, CORNERS[index][0])));
  });
}

function marks(kernels, state) {
  const scores = scoresOf(state);
  const [softmax] = kernels.softmax([scores], { temperature: state.temperature });
  const [sparsemax] = kernels.sparsemax([temperedOf(state)]);
  const first = scores.indexOf(Math.max(...scores));
  const hardmax = scores.map((_, index) => (index === first ? 1 : 0));
  return { softmax, sparsemax, hardmax };
}

const SHAPES = {
  softmax: ([x, y]) => svg("circle", { cx: x, cy: y, r: 8, class: "shape", "--class": "var(--accent)" }),
  sparsemax: ([x, y]) => svg("rect", { x: x - 6.5, y: y - 6.5, width: 13, height: 13, class: "shape", "--class": "var(--class-1)" }),
  hardmax: ([x, y]) => svg("path", { d: `M${x} ${y - 12}L${x + 12} ${y}L${x} ${y + 12}L${x - 12} ${y}Z`, class: "shape", "--class": "var(--class-3)" }),
};

function figure(state, kernels) {
  const scores = scoresOf(state);
  const points = marks(kernels, state);
  const path = TEMPERATURES.map((temperature) => place(kernels.softmax([scores], { temperature })[0]).join(","));
  const told = state.names.map((name, index) => `${name} ${percent(points.softmax[index])}`).join(", ");
  const inner = [1, 2, 3].flatMap((quarter) =>
    [0, 1, 2].map((index) => {
      const line = (other) => place([0, 1, 2].map((k) => (k === index ? quarter / 4 : k === other ? 1 - quarter / 4 : 0)));
      const [from, to] = [line((index + 1) % 3), line((index + 2) % 3)];
      return svg("path", { class: "grid", d: `M${from}L${to}` });
    }),
  );
  const image = drawing(
    WIDTH,
    345,
    `Triangle with a corner for each class. Softmax stands at ${told}.`,
    ...inner,
    svg("path", { class: "axis", d: `M${CORNERS.join("L")}Z` }),
    svg("polyline", { class: "curve", "--class": "var(--accent)", points: path.join(" ") }),
    ...state.names.map(corner),
    ...["hardmax", "sparsemax", "softmax"].map((name) => SHAPES[name](place(points[name]))),
  );
  const key = (name) => {
    const icon = svg("svg", { viewBox: "0 0 30 30", width: 18, height: 18, "aria-hidden": "true" }, SHAPES[name]([15, 15]));
    icon.classList.add("key");
    return html("li", {}, icon, ` ${name}: ${points[name].map((p) => percent(p)).join(", ")}`);
  };
  return [image, html("ul", { class: "legend" }, ...["softmax", "sparsemax", "hardmax"].map(key))];
}

function without(store) {
  const { logits, names, truth } = store.state;
  const [more, fewer] = [[...logits, 0], logits.slice(0, 3)];
  const changes =
    logits.length < 3
      ? { logits: more, names: [...names, newName(names)] }
      : { logits: fewer, names: names.slice(0, 3), truth: Math.min(truth, 2) };
  const text = logits.length < 3 ? "Add a third class" : "Keep the first three classes";
  return [
    html("p", {}, `The triangle shows three classes; there are ${logits.length} now.`),
    html("div", { class: "buttons" }, button(text, () => store.change(changes))),
  ];
}

export function setUpTriangle(store, kernels) {
  const show = () => {
    const { state } = store;
    const content = state.logits.length === 3 ? figure(state, kernels) : without(store);
    byId("triangle-figure").replaceChildren(...content);
    fitCorners(byId("triangle-figure").querySelectorAll(".corner"));
  };
  store.subscribe(show, OF_SOFTMAX);
  window.matchMedia("(max-width: 560px)").addEventListener("change", show); // the names are larger there
}
