// What the page shows, as one plain object, and as the part of the address behind "#": a link opens the same case.

export const MOST_CLASSES = 8;
export const MOST_POINTS = 200;
const LARGEST_LOGIT = 100000;
const LONGEST_NAME = 24;

// Each number that has a setting: its default, and the least and greatest that may be typed.
export const NUMBERS = {
  temperature: { value: 1, least: 0.01, greatest: 1000 },
  scale: { value: 1, least: -100, greatest: 100 },
  offset: { value: 0, least: -LARGEST_LOGIT, greatest: LARGEST_LOGIT },
  truth: { value: 0, least: 0, greatest: MOST_CLASSES - 1, whole: true },
  rate: { value: 1, least: 0.001, greatest: 100 },
  word_temperature: { value: 1, least: 0.05, greatest: 10 },
  top_k: { value: 0, least: 0, greatest: 100, whole: true },
  top_p: { value: 1, least: 0.01, greatest: 1 },
  min_p: { value: 0, least: 0, greatest: 1 },
  seed: { value: 2024, least: 0, greatest: 4294967295, whole: true },
};
export const LOGIT = { least: -LARGEST_LOGIT, greatest: LARGEST_LOGIT };

const DEFAULT_LOGITS = [2, 1, 0.1];
const DEFAULT_NAMES = ["cat", "dog", "bird"];

/** The name of a class that no one has named. Classes count from 1: the fourth is "class 4". */
function usualName(index) {
  return DEFAULT_NAMES[index] ?? `class ${index + 1}`;
}

/** A name for one more class, which no other class has. */
export function newName(names) {
  let count = names.length + 1;
  while (names.includes(`class ${count}`)) count += 1;
  return `class ${count}`;
}

export function defaultState() {
  const numbers = Object.fromEntries(Object.entries(NUMBERS).map(([name, { value }]) => [name, value]));
  return { logits: [...DEFAULT_LOGITS], names: [...DEFAULT_NAMES], ...numbers, points: null };
}

/** The beginning of a name that is too long. It counts characters: half of one, which UTF-16 knows, is no text. */
export function cutName(name) {
  return [...name].slice(0, LONGEST_NAME).join("");
}

/** The number that a text stands for, or null where it is none or out of range. */
export function parseNumber(text, { least, greatest, whole = false }) {
  const value = text.trim() === "" ? NaN : Number(text);
  if (!(value >= least && value <= greatest) || (whole && !Number.isInteger(value))) return null;
  return value === 0 ? 0 : value; // not -0
}

/** Reads what stands behind "#". What is not understood is left out: a link cannot break the page. */
export function parseState(fragment) {
  const state = defaultState();
  const given = new URLSearchParams(fragment.replace(/^#/, ""));
  const logits = (given.get("logits") ?? "").split(",").map((text) => parseNumber(text, LOGIT));
  if (logits.length >= 2 && logits.length <= MOST_CLASSES && !logits.includes(null)) {
    state.logits = logits;
    state.names = logits.map((_, index) => usualName(index));
  }
  const names = given.getAll("name");
  if (names.length === state.logits.length) state.names = names.map(cutName);
  for (const [name, range] of Object.entries(NUMBERS)) {
    const value = given.has(name) ? parseNumber(given.get(name), range) : null;
    if (value !== null) state[name] = value;
  }
  state.truth = Math.min(state.truth, state.logits.length - 1);
  if (given.has("points")) state.points = parsePoints(given.get("points"));
  return state;
}

function parsePoints(text) {
  const points = text.split(";").map((point) => {
    const [x, y, label, ...others] = point.split(",");
    const side = { least: -1, greatest: 1 };
    const parsed = [
      parseNumber(x ?? "", side),
      parseNumber(y ?? "", side),
      parseNumber(label ?? "", { least: 0, greatest: 2, whole: true }),
    ];
    return others.length || parsed.includes(null) ? null : parsed;
  });
  return points.filter((point) => point !== null).slice(0, MOST_POINTS);
}

/** The fragment of a state: only what differs from the default. */
export function formatState(state) {
  const usual = defaultState();
  const parts = new URLSearchParams();
  if (state.logits.join() !== usual.logits.join()) parts.set("logits", state.logits.join(","));
  if (state.names.join("\n") !== usual.names.join("\n")) for (const name of state.names) parts.append("name", name);
  for (const name of Object.keys(NUMBERS)) if (state[name] !== usual[name]) parts.set(name, String(state[name]));
  if (state.points !== null) parts.set("points", state.points.map((point) => point.join(",")).join(";"));
  return parts.toString().replaceAll("%2C", ",").replaceAll("%3B", ";");
}

/** The state and who wants to know of its changes. */
export class Store {
  #listeners = [];

  constructor(state) {
    this.state = state;
  }

  /** Calls the listener now, and after each change of one of the names (of anything, where there are none). */
  subscribe(listener, names = []) {
    this.#listeners.push({ listener, names });
    listener(this.state);
  }

  change(changes) {
    const before = this.state;
    this.state = { ...before, ...changes };
    const changed = (name) => this.state[name] !== before[name];
    for (const { listener, names } of this.#listeners)
      if (names.length === 0 || names.some(changed)) listener(this.state);
  }
}

/** What the probabilities depend on. */
export const OF_SOFTMAX = ["logits", "names", "temperature", "scale", "offset"];

/** The scores of the classes. */
export function scoresOf(state) {
  return state.logits.map((logit) => state.scale * logit + state.offset);
}

/** What every function gets: the scores divided by the temperature. */
export function temperedOf(state) {
  return scoresOf(state).map((score) => score / state.temperature);
}
