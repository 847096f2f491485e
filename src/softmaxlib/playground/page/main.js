// Loads the kernels, reads the case from the address, and sets every section up.

import { setUpControls } from "./controls.js";
import { setUpCurve } from "./curve.js";
import { setUpDigits } from "./digits.js";
import { byId } from "./dom.js";
import { setUpFunctions } from "./functions.js";
import { setUpJacobian } from "./jacobian.js";
import { Kernels } from "./kernels.js";
import { setUpLoss } from "./loss.js";
import { setUpPrecision } from "./precision.js";
import { setUpProbabilities } from "./probabilities.js";
import { Store, formatState, parseState } from "./state.js";
import { setUpTraining } from "./training.js";
import { setUpTriangle } from "./triangle.js";
import { setUpWord } from "./word.js";

const SECTIONS = new Set(Array.from(document.querySelectorAll("section[id]"), (section) => section.id));
const WAIT = 150; // milliseconds: browsers limit how often an address may change

async function unpack(text) {
  const packed = Uint8Array.from(atob(text.trim()), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

/** Keeps the address at the state, and the state at the address where someone changes that. */
function followAddress(store) {
  let timer = null;
  let written = window.location.hash;
  store.subscribe(() => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const fragment = formatState(store.state);
      if (fragment === "" && (written === "" || SECTIONS.has(written.slice(1)))) return;
      written = `#${fragment}`;
      window.history.replaceState(null, "", written);
    }, WAIT);
  });
  window.addEventListener("hashchange", () => {
    const { hash } = window.location;
    if (hash === written || SECTIONS.has(hash.slice(1))) return;
    written = hash;
    store.change(parseState(hash));
  });
}

async function start() {
  const kernels = await Kernels.load(await unpack(byId("kernels").textContent));
  const store = new Store(parseState(window.location.hash));
  for (const setUp of [
    setUpControls,
    setUpProbabilities,
    setUpFunctions,
    setUpTriangle,
    setUpCurve,
    setUpJacobian,
    setUpLoss,
    setUpPrecision,
    setUpWord,
    setUpTraining,
    setUpDigits,
  ])
    setUp(store, kernels);
  followAddress(store);
  document.documentElement.dataset.ready = "yes";
}

start().catch((error) => {
  byId("failure").textContent = `The page could not start: ${error.message}`;
  byId("failure").hidden = false;
});
