"use strict";
// A slider shows the row of its table that belongs to its stop, and moves the marks of the curves there.
for (const box of document.querySelectorAll("[data-slider]")) {
  const rows = box.querySelectorAll("tbody tr");
  const input = box.querySelector("input");
  const figures = box.querySelectorAll("dd");
  const show = () => {
    const row = rows[input.value];
    for (const one of rows) one.classList.toggle("current", one === row);
    figures.forEach((figure, column) => { figure.textContent = row.cells[column].firstChild.textContent.trim(); });
    input.setAttribute("aria-valuetext", Array.from(figures, (one) => `${one.previousElementSibling.textContent} ${one.textContent}`).join(", "));
    for (const place of row.dataset.marks.split(" ").filter(Boolean)) {
      const [plate, x, y] = place.split(":");
      const mark = document.querySelector(`[data-plate="${plate}"] .moving`);
      mark.setAttribute("cx", x);
      mark.setAttribute("cy", y);
    }
  };
  box.querySelector(".control").hidden = false;
  input.addEventListener("input", show);
  show();
}
// A hint where a table is wider than its place.
const look = () => {
  for (const one of document.querySelectorAll(".scroll")) {
    one.classList.toggle("overflows", one.scrollWidth > one.clientWidth + 1);
  }
};
addEventListener("resize", look);
look();
document.documentElement.dataset.ready = "yes";
