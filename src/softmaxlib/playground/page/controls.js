// The logits with their names, and the settings that hold for the whole page.

import { byId, classColor, html, number, percent } from "./dom.js";
import { LOGARITHMIC, button, numberInput, setting, showIn, slider } from "./inputs.js";
import { LOGIT, MOST_CLASSES, NUMBERS, cutName, defaultState, formatState, newName, scoresOf } from "./state.js";

const EXAMPLES = [
  ["Cat, dog, bird", { logits: [2, 1, 0.1], names: ["cat", "dog", "bird"] }],
  ["Very sure", { logits: [9, 0, -3], names: ["yes", "no", "maybe"] }],
  ["A tie", { logits: [3, 3, 1], names: ["left", "right", "neither"] }],
  ["Two classes", { logits: [1.5, 0], names: ["spam", "no spam"] }],
  ["Five classes", { logits: [1.3, 5.1, 2.2, 0.7, 1.1], names: ["fox", "wolf", "dog", "cat", "bear"] }],
];

function classRow(store, index) {
  const put = (list, value) => store.state[list].map((old, at) => (at === index ? value : old));
  const name = html("input", { type: "text", "--class": classColor(index), "aria-label": `Name of class ${index + 1}` });
  name.addEventListener("input", () => {
    const cut = cutName(name.value);
    const cursor = name.selectionStart;
    if (name.value !== cut) name.value = cut;
    name.setSelectionRange(cursor, cursor); // the value moves it
    store.change({ names: put("names", cut) });
  });
  const changed = (value) => store.change({ logits: put("logits", value) });
  const typed = numberInput({ label: `Logit of class ${index + 1}, typed`, range: LOGIT, changed });
  const moved = slider({ label: `Logit of class ${index + 1}, slider`, least: -10, greatest: 10, step: 0.1, changed });
  const gone = button("×", () => removeClass(store, index), { "aria-label": `Remove class ${index + 1}`, title: "Remove" });
  const share = html("span", { class: "share" });
  const show = (state, probability) => {
    share.replaceChildren(number("div", probability, { text: percent(probability) }));
    if (document.activeElement !== name) name.value = state.names[index];
    showIn(typed, state.logits[index]);
    moved.show(state.logits[index]);
    gone.disabled = state.logits.length <= 2;
  };
  return { element: html("div", { class: "class-row" }, name, typed, gone, moved.input, share), show };
}

function removeClass(store, index) {
  const { logits, names, truth } = store.state;
  if (logits.length <= 2) return;
  const left = (list) => list.filter((_, at) => at !== index);
  store.change({ logits: left(logits), names: left(names), truth: Math.min(truth, logits.length - 2) });
  byId("add-class").focus();
}

function addClass(store) {
  const { logits, names } = store.state;
  if (logits.length < MOST_CLASSES) store.change({ logits: [...logits, 0], names: [...names, newName(names)] });
}

/** What a scale that is not positive means for the whole page. */
function scaleNote(scale) {
  if (scale > 0) return "";
  if (scale < 0) return "The scale is negative, which turns the order around: the smallest logit has the largest score.";
  return "The scale is 0: all scores equal the offset, whatever the logits are, and no class can learn.";
}

export function setUpControls(store, kernels) {
  const settings = [
    ["temperature", { label: "Temperature", least: -1, greatest: 1, step: 0.01, form: LOGARITHMIC }],
    ["scale", { label: "Scale", least: 0, greatest: 5, step: 0.1 }],
    ["offset", { label: "Offset", least: -10, greatest: 10, step: 0.5 }],
  ];
  byId("settings").replaceChildren(
    ...settings.map(([name, options]) => setting(store, name, { range: NUMBERS[name], ...options })),
  );
  byId("add-class").addEventListener("click", () => addClass(store));
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("examples").replaceChildren(
    ...EXAMPLES.map(([text, changes]) => button(text, () => store.change({ ...changes, truth: 0 }))),
    button("Start again", () => store.change(defaultState())),
  );
  byId("copy-link").addEventListener("click", () => copyLink(store));
  let rows = [];
  store.subscribe((state) => {
    if (rows.length !== state.logits.length) {
      rows = state.logits.map((_, index) => classRow(store, index));
      byId("classes").replaceChildren(...rows.map((row) => row.element));
    }
    const [probabilities] = kernels.softmax([scoresOf(state)], { temperature: state.temperature });
    rows.forEach((row, index) => row.show(state, probabilities[index]));
    byId("scale-note").textContent = scaleNote(state.scale);
    byId("add-class").disabled = state.logits.length >= MOST_CLASSES;
  });
}

async function copyLink(store) {
  const link = `${window.location.href.split("#")[0]}#${formatState(store.state)}`;
  try {
    await navigator.clipboard.writeText(link);
    byId("copied").textContent = "Copied.";
  } catch {
    byId("copied").textContent = "The browser does not let the page copy: take the link from the address bar.";
  }
}
