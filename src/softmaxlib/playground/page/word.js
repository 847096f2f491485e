// The next word of a sentence: what each filter leaves, and draws from it.

import { byId, html, number, percent } from "./dom.js";
import { LOGARITHMIC, button, setting } from "./inputs.js";
import { NUMBERS } from "./state.js";

export const VOCABULARY = {
  mat: 5.1, sofa: 4.6, floor: 4.2, roof: 3.4, bed: 3.3, table: 3.1, chair: 2.9, windowsill: 2.6, keyboard: 2.2,
  grass: 1.9, moon: 0.4, idea: -0.6, banana: -1.2, Tuesday: -2,
};
const WORDS = Object.keys(VOCABULARY);
const LOGITS = Object.values(VOCABULARY);
const SENTENCE = "The cat sat on the";
const MANY = 200;
const TITLES = { top_k: "top-k", top_p: "top-p", min_p: "min-p" };

/** The filters that are on, in the library's order. */
export function filtersOf(state) {
  const filters = [["temperature", state.word_temperature]];
  if (state.top_k > 0) filters.push(["top_k", state.top_k]);
  if (state.top_p < 1) filters.push(["top_p", state.top_p]);
  if (state.min_p > 0) filters.push(["min_p", state.min_p]);
  return filters;
}

/** Which filter removed each word; null for those that are left. */
function removals(filters, kernels) {
  const removed = WORDS.map(() => null);
  for (let count = 1; count <= filters.length; count++) {
    const { kept } = kernels.draw(LOGITS, filters.slice(0, count));
    kept.forEach((stays, word) => {
      if (!stays) removed[word] ??= TITLES[filters[count - 1][0]];
    });
  }
  return removed;
}

function row(word, before, after, removed, count) {
  const name = html("span", { class: "name" }, WORDS[word]);
  const bar = (share, kind) => {
    const part = html("i", { class: kind });
    part.style.width = `${100 * share}%`;
    return part;
  };
  const track = html("span", { class: "track", "aria-hidden": "true" }, bar(before, "before"), bar(after, "after"));
  const drawn = count ? `drawn ${count} ×` : "";
  const why = removed ? `removed by ${removed}` : drawn;
  return html(
    "div",
    { class: `word-row${removed ? " gone" : ""}`, "data-word": WORDS[word] },
    name,
    track,
    number("span", before, { text: percent(before), kind: "before" }),
    number("span", after, { text: removed ? "–" : percent(after), kind: "after" }),
    html("span", { class: "why" }, why),
  );
}

const HEAD = html(
  "div",
  { class: "word-row head" },
  html("span", {}, "word"),
  html("span"),
  html("span", { class: "number" }, "softmax"),
  html("span", { class: "number" }, "left"),
  html("span", { class: "why" }),
);

export function setUpWord(store, kernels) {
  let counts = WORDS.map(() => 0);
  let sentence = null;
  let position = 0;
  const settings = [
    ["word_temperature", { label: "Temperature", least: -1.3, greatest: 1, step: 0.01, form: LOGARITHMIC }],
    ["top_k", { label: "Top-k (0: off)", least: 0, greatest: WORDS.length, step: 1 }],
    ["top_p", { label: "Top-p (1: off)", least: 0.01, greatest: 1, step: 0.01 }],
    ["min_p", { label: "Min-p (0: off)", least: 0, greatest: 1, step: 0.01 }],
    ["seed", { label: "Seed", least: 0, greatest: 5000, step: 1 }],
  ];
  byId("word-controls").replaceChildren(
    ...settings.map(([name, options]) => setting(store, name, { range: NUMBERS[name], ...options })),
  );
  const draw = (times) => {
    const { seed } = store.state;
    for (let i = 0; i < times; i++) {
      const { token } = kernels.draw(LOGITS, filtersOf(store.state), { seed, position: position++ });
      counts[token] += 1;
      sentence = `${SENTENCE} ${WORDS[token]}`;
    }
    show(store.state);
  };
  byId("word-buttons").replaceChildren(
    button("Draw the next word", () => draw(1), { class: "main", id: "draw" }),
    button(`Draw ${MANY} times`, () => draw(MANY), { id: "draw-many" }),
  );
  let shown = null;
  const show = (state) => {
    const filters = filtersOf(state);
    const key = JSON.stringify([filters, state.seed]);
    if (shown !== key) [counts, sentence, position, shown] = [WORDS.map(() => 0), null, 0, key];
    const temperature = state.word_temperature;
    const removed = removals(filters, kernels);
    const left = LOGITS.map((logit, word) => (removed[word] ? -Infinity : logit));
    const [before, after] = kernels.softmax([LOGITS, left], { temperature });
    byId("word-table").replaceChildren(
      HEAD,
      ...WORDS.map((_, word) => row(word, before[word], after[word], removed[word], counts[word])),
    );
    const drawn = counts.reduce((sum, count) => sum + count, 0);
    byId("word-drawn").textContent = sentence
      ? `“${sentence}.” ${drawn} drawn with seed ${state.seed}, positions 0 to ${drawn - 1}: the same seed and position give the same word.`
      : `“${SENTENCE} …”`;
  };
  store.subscribe(show, settings.map(([name]) => name));
}
