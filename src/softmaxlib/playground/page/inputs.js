// Inputs that show a number and let it be typed, and moved with a slider where one helps.

import { html } from "./dom.js";
import { parseNumber } from "./state.js";

/** Sets what an input shows, but not while someone types in it. */
export function showIn(input, value) {
  const text = String(value);
  if (document.activeElement !== input) input.value = text;
  else if (Number(input.value) !== Number(text)) input.value = text;
}

/** A typed number: calls `changed` with each one that is in range. */
export function numberInput({ label, range, changed, ...attributes }) {
  const input = html("input", {
    type: "number",
    step: range.whole ? 1 : "any",
    min: range.least,
    max: range.greatest,
    required: true,
    "aria-label": label,
    ...attributes,
  });
  input.addEventListener("input", () => {
    const value = parseNumber(input.value, range);
    if (value !== null) changed(value);
  });
  return input;
}

export const PLAIN = { toSlider: (value) => value, fromSlider: (place) => place };
export const LOGARITHMIC = {
  toSlider: (value) => Math.log10(value),
  fromSlider: (place) => Number((10 ** place).toPrecision(3)),
};

/** A slider; what lies beyond its ends stays as it was typed. */
export function slider({ label, least, greatest, step, form = PLAIN, changed }) {
  const input = html("input", { type: "range", min: least, max: greatest, step, "aria-label": label });
  input.addEventListener("input", () => changed(form.fromSlider(Number(input.value))));
  const show = (value) => {
    input.value = String(form.toSlider(value));
    input.setAttribute("aria-valuetext", String(value));
  };
  return { input, show };
}

/** Label, typed number and slider for one number of the state. */
export function setting(store, name, { label, range, least, greatest, step, form = PLAIN }) {
  const changed = (value) => store.change({ [name]: value });
  const typed = numberInput({ label: `${label}, typed`, range, changed, id: `typed-${name}` });
  const moved = slider({ label: `${label}, slider`, least, greatest, step, form, changed });
  store.subscribe((state) => {
    showIn(typed, state[name]);
    moved.show(state[name]);
  });
  return html("div", { class: "setting" }, html("label", { for: `typed-${name}` }, label), typed, moved.input);
}

export function button(text, clicked, attributes = {}) {
  return html("button", { type: "button", onclick: clicked, ...attributes }, text);
}

/** One of the classes, chosen from a list. */
export function classChoice({ id, label, changed }) {
  const select = html("select", { id, onchange: () => changed(Number(select.value)) });
  const show = (names, chosen) => {
    select.replaceChildren(...names.map((name, index) => html("option", { value: index, selected: index === chosen }, name)));
    select.value = String(chosen);
  };
  return { field: html("div", { class: "field" }, html("label", { for: id }, label), select), show };
}
