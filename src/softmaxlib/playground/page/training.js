// A softmax regression on points of the plane that learns while one watches.

import { byId, classLabel, drawing, html, number, percent, short, svg, table } from "./dom.js";
import { button, numberInput, slider, LOGARITHMIC } from "./inputs.js";
import { MOST_POINTS } from "./state.js";

const NAMES = ["circle", "square", "triangle"];
const CELLS = 40;
const SIDE = 400;
const STEPS_PER_FRAME = 5;
const POINTS_OF_THE_EXAMPLE = 15; // of each class

/** Points around three centres: the same each time. */
export function examplePoints() {
  const centres = [[-0.45, -0.35], [0.5, -0.25], [0, 0.5]];
  return centres.flatMap(([x, y], label) =>
    Array.from({ length: POINTS_OF_THE_EXAMPLE }, (_, index) => {
      const angle = 2.399963 * (index + 1); // the golden angle spreads them evenly
      const distance = 0.42 * Math.sqrt((index + 1) / POINTS_OF_THE_EXAMPLE);
      return [x + distance * Math.cos(angle), y + distance * Math.sin(angle), label].map((part) => Number(part.toFixed(3)));
    }),
  );
}

export class Regression {
  constructor() {
    this.weights = NAMES.map(() => [0, 0, 0]); // of x, y and 1, for each class
    this.steps = 0;
  }

  logits(points) {
    return points.map(([x, y]) => this.weights.map(([wx, wy, bias]) => wx * x + wy * y + bias));
  }

  loss(points, kernels) {
    const scale = 1 / points.length;
    const { losses, gradients } = kernels.crossEntropy(this.logits(points), points.map((point) => point[2]), { scale });
    return { mean: losses.reduce((sum, loss) => sum + loss, 0) * scale, gradients };
  }

  step(points, rate, kernels) {
    const { gradients } = this.loss(points, kernels);
    const slopes = NAMES.map(() => [0, 0, 0]);
    points.forEach(([x, y], row) => {
      for (let label = 0; label < NAMES.length; label++) {
        const slope = gradients[row][label];
        slopes[label][0] += slope * x;
        slopes[label][1] += slope * y;
        slopes[label][2] += slope;
      }
    });
    this.weights = this.weights.map((old, label) => old.map((weight, k) => weight - rate * slopes[label][k]));
    this.steps += 1;
  }
}

const across = (x) => ((x + 1) / 2) * SIDE;
const down = (y) => ((1 - y) / 2) * SIDE;

function shapeOf([x, y, label], attributes = {}) {
  const [cx, cy] = [across(x), down(y)];
  const look = { class: "shape", "--class": `var(--class-${label})`, ...attributes };
  if (label === 0) return svg("circle", { cx, cy, r: 6.5, ...look });
  if (label === 1) return svg("rect", { x: cx - 6, y: cy - 6, width: 12, height: 12, ...look });
  return svg("path", { d: `M${cx} ${cy - 8}l7.5 13h-15z`, ...look });
}

function colorOf(name) {
  const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
}

/** Paints each cell of the plane in the colours of the classes, mixed by their probabilities. */
function paint(canvas, regression, kernels) {
  const centre = (cell) => ((2 * cell + 1) / CELLS - 1);
  const cells = Array.from({ length: CELLS * CELLS }, (_, k) => [centre(k % CELLS), -centre(Math.floor(k / CELLS))]);
  const rows = kernels.softmax(regression.logits(cells));
  const [colors, card] = [NAMES.map((_, label) => colorOf(`--class-${label}`)), colorOf("--card")];
  const image = new ImageData(CELLS, CELLS);
  rows.forEach((row, k) => {
    for (let part = 0; part < 3; part++) {
      const mixed = row.reduce((sum, p, label) => sum + p * colors[label][part], 0);
      image.data[4 * k + part] = 0.62 * card[part] + 0.38 * mixed;
    }
    image.data[4 * k + 3] = 255;
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
}

export function setUpTraining(store, kernels) {
  let regression = new Regression();
  let history = [];
  let running = false;
  let rate = 1;
  let label = 0;
  let cursor = [0, 0];
  const points = () => store.state.points ?? examplePoints();

  const canvas = html("canvas", { width: CELLS, height: CELLS, "aria-hidden": "true" });
  const surface = drawing(SIDE, SIDE, "");
  surface.setAttribute("tabindex", "0");
  surface.setAttribute("role", "application");
  byId("plane").replaceChildren(
    html("div", { class: "plane" }, canvas, surface),
    html("p", { class: "note" }, "Click to put a point. By keyboard: the arrow keys move the cross, Enter puts a point."),
  );
  const kinds = NAMES.map((name, index) =>
    button("", () => {
      label = index;
      show();
    }, { "aria-label": `Put points of class ${name}` }),
  );
  kinds.forEach((kind, index) => kind.append(classLabel(NAMES[index], index)));
  const train = button("Train", () => {
    running = !running;
    show();
    if (running) requestAnimationFrame(frame);
  }, { class: "main", id: "train" });
  const speed = slider({ label: "Learning rate, slider", least: -2, greatest: 1, step: 0.01, form: LOGARITHMIC, changed: setRate });
  const typedRate = numberInput({ label: "Learning rate, typed", range: { least: 0.001, greatest: 100 }, changed: setRate, id: "training-rate" });
  byId("training-controls").replaceChildren(
    html("div", { class: "buttons", role: "group", "aria-label": "Class of new points" }, ...kinds),
    html("div", { class: "setting" }, html("label", { for: "training-rate" }, "Learning rate"), typedRate, speed.input),
    html(
      "div",
      { class: "buttons" },
      train,
      button("One step", () => advance(1), { id: "training-step" }),
      button("Forget", restart, { title: "Set all weights to 0", id: "forget" }),
      button("Remove all points", () => putPoints([])),
      button("Example points", () => putPoints(null)),
    ),
  );

  function setRate(value) {
    rate = value;
    show();
  }
  function restart() {
    regression = new Regression();
    history = [];
    show();
  }
  function putPoints(list) {
    if (list === null || list.length === 0) restart();
    store.change({ points: list });
  }
  function put([x, y]) {
    if (points().length >= MOST_POINTS) return;
    putPoints([...points(), [Number(x.toFixed(3)), Number(y.toFixed(3)), label]]);
  }
  function advance(steps) {
    if (points().length === 0) return;
    for (let i = 0; i < steps; i++) {
      regression.step(points(), rate, kernels);
      history.push(regression.loss(points(), kernels).mean);
    }
    show();
  }
  function frame() {
    if (!running) return;
    if (points().length === 0) running = false;
    advance(STEPS_PER_FRAME);
    requestAnimationFrame(frame);
  }
  surface.addEventListener("click", (event) => {
    const box = surface.getBoundingClientRect();
    if (event.detail === 0) return;
    put([(2 * (event.clientX - box.left)) / box.width - 1, 1 - (2 * (event.clientY - box.top)) / box.height]);
  });
  surface.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-0.05, 0], ArrowRight: [0.05, 0], ArrowUp: [0, 0.05], ArrowDown: [0, -0.05] };
    const move = moves[event.key];
    if (!move && event.key !== "Enter") return;
    event.preventDefault();
    if (move) cursor = cursor.map((part, axis) => Math.min(1, Math.max(-1, part + move[axis])));
    else put(cursor);
    show();
  });

  function figures() {
    const all = points();
    if (all.length === 0) return [html("p", {}, "There are no points: put some on the plane.")];
    const { mean } = regression.loss(all, kernels);
    const right = regression.logits(all).filter((row, k) => row.indexOf(Math.max(...row)) === all[k][2]).length;
    const told = number("strong", mean, { text: short(mean) });
    told.id = "training-loss";
    const rows = regression.weights.map((row, index) => [classLabel(NAMES[index], index), ...row.map((weight) => number("td", weight, { text: short(weight, 3) }))]);
    return [
      html("p", {}, `After ${regression.steps} steps the mean loss is `, told, ` nats; ${percent(right / all.length)} of ${all.length} points are right.`),
      lossCurve(history),
      html("table", { id: "weights" }, ...table(["logit of", "w of x", "w of y", "b"], rows)),
    ];
  }

  function show() {
    const all = points();
    const [x, y] = [across(cursor[0]), down(cursor[1])];
    kinds.forEach((kind, index) => kind.setAttribute("aria-pressed", String(index === label)));
    train.textContent = running ? "Pause" : "Train";
    if (document.activeElement !== typedRate) typedRate.value = String(rate);
    speed.show(rate);
    paint(canvas, regression, kernels);
    surface.setAttribute("aria-label", `Plane with ${all.length} points; cross at ${short(cursor[0], 2)}, ${short(cursor[1], 2)}`);
    surface.replaceChildren(
      ...all.map((point) => shapeOf(point)),
      svg("path", { class: "axis cross", d: `M${x - 9} ${y}h18M${x} ${y - 9}v18` }),
    );
    byId("training-figures").replaceChildren(...figures());
  }
  store.subscribe(show, ["points"]);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
}

function lossCurve(history) {
  const [width, height, left, bottom] = [400, 150, 40, 22];
  const most = Math.max(Math.log(NAMES.length), ...history);
  const shown = [Math.log(NAMES.length), ...history];
  const place = (loss, index) => {
    const x = left + ((width - left - 8) * index) / Math.max(1, shown.length - 1);
    return `${x.toFixed(1)},${(height - bottom - ((height - bottom - 12) * loss) / most).toFixed(1)}`;
  };
  const last = shown.at(-1);
  return drawing(
    width,
    height,
    `Mean loss over the steps: from ${short(shown[0], 3)} to ${short(last, 3)}.`,
    svg("path", { class: "axis", d: `M${left} 8V${height - bottom}H${width - 8}` }),
    svg("text", { x: left - 6, y: 18, "text-anchor": "end", class: "faint" }, short(most, 2)),
    svg("text", { x: left - 6, y: height - bottom + 2, "text-anchor": "end", class: "faint" }, "0"),
    svg("text", { x: width - 8, y: height - 5, "text-anchor": "end", class: "faint" }, `${history.length} steps`),
    svg("polyline", { class: "curve", "--class": "var(--accent)", points: shown.map(place).join(" ") }),
  );
}
