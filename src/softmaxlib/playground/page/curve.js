// The probabilities as curves over the temperature.

import { byId, classColor, classLabel, drawing, html, short, svg } from "./dom.js";
import { OF_SOFTMAX, scoresOf } from "./state.js";

const [LEAST, GREATEST] = [0.05, 20];
const TEMPERATURES = Array.from({ length: 105 }, (_, step) => LEAST * (GREATEST / LEAST) ** (step / 104));
// On a narrow window the drawing is narrower, not its text smaller.
const SHAPES_OF_WINDOW = {
  wide: { width: 640, ticks: [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20] },
  narrow: { width: 360, ticks: [0.05, 0.2, 1, 5, 20] },
};
const NARROW = window.matchMedia("(max-width: 560px)");
const [LEFT, MARGIN, TOP, BOTTOM] = [44, 20, 16, 270];

function scales({ width }) {
  const right = width - MARGIN;
  return {
    right,
    across: (temperature) => LEFT + ((right - LEFT) * Math.log(temperature / LEAST)) / Math.log(GREATEST / LEAST),
    up: (probability) => BOTTOM - (BOTTOM - TOP) * probability,
  };
}

function axes(classes, { ticks }, { right, across, up }) {
  const shares = [0, 0.25, 0.5, 0.75, 1];
  const label = (attributes, text) => svg("text", { class: "faint", ...attributes }, text);
  return [
    ...shares.map((share) => svg("path", { class: "grid", d: `M${LEFT} ${up(share)}H${right}` })),
    ...shares.map((share) => label({ x: LEFT - 8, y: up(share) + 4, "text-anchor": "end" }, `${100 * share}%`)),
    ...ticks.map((tick) => svg("path", { class: "axis", d: `M${across(tick)} ${BOTTOM}v5` })),
    ...ticks.map((tick) => label({ x: across(tick), y: BOTTOM + 20, "text-anchor": "middle" }, String(tick))),
    label({ x: (LEFT + right) / 2, y: BOTTOM + 42, "text-anchor": "middle" }, "temperature T (logarithmic)"),
    svg("path", { class: "marker", d: `M${LEFT} ${up(1 / classes)}H${right}`, opacity: 0.45 }),
    label({ x: LEFT + 5, y: up(1 / classes) - 7 }, `1 / ${classes}`),
  ];
}

function figure(state, kernels) {
  const scores = scoresOf(state);
  const shape = SHAPES_OF_WINDOW[NARROW.matches ? "narrow" : "wide"];
  const places = scales(shape);
  const { across, up } = places;
  const rows = TEMPERATURES.map((temperature) => kernels.softmax([scores], { temperature })[0]);
  const curves = state.names.map((_, index) => {
    const points = rows.map((row, step) => `${across(TEMPERATURES[step]).toFixed(2)},${up(row[index]).toFixed(2)}`);
    return svg("polyline", { class: "curve", "--class": classColor(index), points: points.join(" ") });
  });
  const here = Math.min(GREATEST, Math.max(LEAST, state.temperature));
  const [at] = kernels.softmax([scores], { temperature: state.temperature });
  const marks = at.map((p, index) =>
    svg("circle", { class: "shape", "--class": classColor(index), cx: across(here), cy: up(p), r: 5 }),
  );
  const told = state.names.map((name, index) => `${name} from ${short(rows[0][index], 3)} to ${short(rows.at(-1)[index], 3)}`);
  const image = drawing(
    shape.width,
    320,
    `Probabilities over the temperature, from ${LEAST} to ${GREATEST}: ${told.join("; ")}.`,
    ...axes(state.names.length, shape, places),
    svg("path", { class: "marker", d: `M${across(here)} ${TOP}V${BOTTOM}` }),
    ...curves,
    ...marks,
  );
  const names = state.names.map((name, index) => html("li", {}, classLabel(name, index)));
  return [image, html("ul", { class: "legend" }, ...names)];
}

export function setUpCurve(store, kernels) {
  const show = () => byId("temperature-figure").replaceChildren(...figure(store.state, kernels));
  store.subscribe(show, OF_SOFTMAX);
  NARROW.addEventListener("change", show);
}
