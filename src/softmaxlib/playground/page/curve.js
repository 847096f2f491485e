// The probabilities as curves over the temperature.

import { byId, classColor, classLabel, drawing, html, short, svg } from "./dom.js";
import { scoresOf } from "./state.js";

const [LEAST, GREATEST] = [0.05, 20];
const TEMPERATURES = Array.from({ length: 105 }, (_, step) => LEAST * (GREATEST / LEAST) ** (step / 104));
const TICKS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20];
const [LEFT, RIGHT, TOP, BOTTOM] = [44, 620, 16, 270];

function across(temperature) {
  return LEFT + ((RIGHT - LEFT) * Math.log(temperature / LEAST)) / Math.log(GREATEST / LEAST);
}
function up(probability) {
  return BOTTOM - (BOTTOM - TOP) * probability;
}

function axes(classes) {
  const shares = [0, 0.25, 0.5, 0.75, 1];
  return [
    ...shares.map((share) => svg("path", { class: "grid", d: `M${LEFT} ${up(share)}H${RIGHT}` })),
    ...shares.map((share) => svg("text", { x: LEFT - 8, y: up(share) + 4, "text-anchor": "end", class: "faint" }, `${100 * share}%`)),
    ...TICKS.map((tick) => svg("path", { class: "axis", d: `M${across(tick)} ${BOTTOM}v5` })),
    ...TICKS.map((tick) => svg("text", { x: across(tick), y: BOTTOM + 20, "text-anchor": "middle", class: "faint" }, String(tick))),
    svg("text", { x: (LEFT + RIGHT) / 2, y: BOTTOM + 42, "text-anchor": "middle", class: "faint" }, "temperature T (logarithmic)"),
    svg("path", { class: "marker", d: `M${LEFT} ${up(1 / classes)}H${RIGHT}`, opacity: 0.45 }),
    svg("text", { x: LEFT + 5, y: up(1 / classes) - 7, class: "faint" }, `1 / ${classes}`),
  ];
}

function figure(state, kernels) {
  const scores = scoresOf(state);
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
    640,
    320,
    `Probabilities over the temperature, from ${LEAST} to ${GREATEST}: ${told.join("; ")}.`,
    ...axes(state.names.length),
    svg("path", { class: "marker", d: `M${across(here)} ${TOP}V${BOTTOM}` }),
    ...curves,
    ...marks,
  );
  const names = state.names.map((name, index) => html("li", {}, classLabel(name, index)));
  return [image, html("ul", { class: "legend" }, ...names)];
}

export function setUpCurve(store, kernels) {
  store.subscribe((state) => byId("temperature-figure").replaceChildren(...figure(state, kernels)));
}
