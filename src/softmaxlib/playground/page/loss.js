// Cross-entropy of a chosen truth, its gradient, and steps against it that move the logits.

import { barRow, byId, classLabel, html, number, short } from "./dom.js";
import { LOGARITHMIC, button, classChoice, setting } from "./inputs.js";
import { LOGIT, NUMBERS, temperedOf } from "./state.js";

const MANY = 10;

/** The loss, and its derivative by the logits. */
export function lossOf(state, kernels) {
  const scale = state.scale / state.temperature;
  const { losses, gradients } = kernels.crossEntropy([temperedOf(state)], [state.truth], { scale });
  return { loss: losses[0], gradient: gradients[0] };
}

function effectOfStep(scale) {
  if (scale === 0) return "The scale is 0: the scores do not depend on the logits. The gradient is 0 for every class, and a step changes nothing.";
  const [truth, others, why] = scale > 0 ? ["up", "down", ""] : ["down", "up", ", because the scale is negative"];
  return `A step against it pushes the true logit ${truth} and all others ${others}${why}. It is never 0 while the answer is wrong.`;
}

function step(state, kernels) {
  const { gradient } = lossOf(state, kernels);
  const logits = state.logits.map((logit, index) => {
    const moved = Number((logit - state.rate * gradient[index]).toFixed(6)); // as it is shown and linked to
    return Math.min(LOGIT.greatest, Math.max(LOGIT.least, moved));
  });
  return { ...state, logits };
}

export function setUpLoss(store, kernels) {
  const choice = classChoice({ id: "truth", label: "True class", changed: (truth) => store.change({ truth }) });
  let steps = 0;
  let before = null; // the logits in front of the first step
  let expected = null; // what the last step made of them: any other logits are someone's own, and steps start anew
  const advance = (count) => {
    before ??= store.state.logits;
    let state = store.state;
    for (let i = 0; i < count; i++) state = step(state, kernels);
    steps += count;
    expected = state.logits;
    store.change({ logits: state.logits });
  };
  const back = button("Undo the steps", () => store.change({ logits: before }), { id: "undo-steps" });
  const options = { label: "Learning rate", range: NUMBERS.rate, least: -2, greatest: 1, step: 0.01 };
  byId("loss-controls").replaceChildren(
    choice.field,
    setting(store, "rate", { ...options, form: LOGARITHMIC }),
    html(
      "div",
      { class: "buttons" },
      button("Take a step", () => advance(1), { class: "main", id: "step" }),
      button(`Take ${MANY} steps`, () => advance(MANY)),
      back,
    ),
  );
  store.subscribe((state) => {
    if (state.logits !== expected) [steps, before, expected] = [0, null, null];
    choice.show(state.names, state.truth);
    back.disabled = before === null;
    const { loss, gradient } = lossOf(state, kernels);
    const largest = Math.max(...gradient.map(Math.abs), 1e-300);
    byId("loss-table").replaceChildren(
      ...gradient.map((value, index) =>
        barRow(classLabel(`${state.names[index]}${index === state.truth ? " (true)" : ""}`, index), value, {
          color: value < 0 ? "var(--down)" : "var(--up)",
          low: -largest,
          high: largest,
        }),
      ),
    );
    const told = number("strong", loss, { text: short(loss) });
    told.id = "loss-value";
    const bars = gradient.every((value) => value === 0)
      ? "The gradient is 0: a step moves no logit."
      : "The bars are the gradient; a step moves each logit against its bar.";
    byId("loss-effect").textContent = effectOfStep(state.scale);
    byId("loss-summary").replaceChildren(
      "Loss: ",
      told,
      ` nats${steps ? ` after ${steps} ${steps === 1 ? "step" : "steps"}` : ""}. ${bars}`,
    );
  });
}
