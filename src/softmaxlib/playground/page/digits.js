// All digits of a number that is clicked or tapped: a touch screen has no pointer that could hover.

import { byId } from "./dom.js";

const GAP = 6; // pixels between the number and its digits, and to the edges of the window

function place(bubble, number) {
  const { left, width, top, bottom } = number.getBoundingClientRect();
  const greatest = document.documentElement.clientWidth - bubble.offsetWidth - GAP;
  const above = top - bubble.offsetHeight - GAP;
  bubble.style.left = `${Math.max(GAP, Math.min(greatest, left + (width - bubble.offsetWidth) / 2))}px`;
  bubble.style.top = `${above >= 0 ? above : bottom + GAP}px`;
}

export function setUpDigits() {
  const bubble = byId("digits");
  let shown = null; // the number whose digits are shown
  let frame = 0;
  const hide = () => {
    cancelAnimationFrame(frame);
    shown = null;
    bubble.hidden = true;
  };
  // the number may scroll, and goes when a new one takes its place
  const follow = () => {
    if (!shown.isConnected) return hide();
    place(bubble, shown);
    frame = requestAnimationFrame(follow);
  };
  // on the layout, not on the document: some phones send a tap on plain text no further than here
  document.querySelector(".layout").addEventListener("click", (event) => {
    const number = event.target.closest(".number[title]");
    const again = number === shown;
    hide();
    if (number === null || again) return;
    shown = number;
    bubble.textContent = number.title;
    bubble.hidden = false;
    follow();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });
}
