// Elements, and numbers as a reader wants them.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("--")) element.style.setProperty(name, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/** An HTML element. Text among the children stays text: names that a user typed are never markup. */
export function html(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** A drawing whose content a text describes, for those who do not see it. */
export function drawing(width, height, description, ...children) {
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": description }, ...children);
}

export function byId(id) {
  return document.getElementById(id);
}

export function classColor(index) {
  return `var(--class-${index % 8})`;
}

/** Five digits or so; "0" for 0 alone, and scientific where a decimal number would show a false 0. */
export function short(value, decimals = 4) {
  if (!Number.isFinite(value)) return special(value);
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 0.5 * 10 ** -decimals || size >= 1e6) return minus(value.toExponential(2));
  return minus(size >= 1000 ? value.toFixed(1) : value.toFixed(decimals));
}

function special(value) {
  if (Number.isNaN(value)) return "NaN";
  return value > 0 ? "inf" : "−inf";
}

function minus(text) {
  return text.replace(/^-/, "−");
}

/** A number as it was typed. */
export function plain(value) {
  return minus(String(value));
}

export function percent(value) {
  if (!Number.isFinite(value)) return special(value);
  if (value > 0 && value < 0.0005) return "< 0.1%";
  return `${(100 * value).toFixed(1)}%`;
}

/** A number whose every digit is shown on hover, and on a tap by digits.js. */
export function number(tag, value, { text = short(value), kind = "" } = {}) {
  const problem = Number.isNaN(value) || value === Infinity ? "bad" : "";
  return html(tag, { class: `number ${kind} ${problem}`.trim(), title: String(value) }, text);
}

export function table(head, rows, foot = null) {
  const parts = [html("thead", {}, html("tr", {}, ...head.map((text) => html("th", { scope: "col" }, text))))];
  parts.push(html("tbody", {}, ...rows.map(([name, ...cells]) => html("tr", {}, nameCell(name), ...cells))));
  if (foot) parts.push(html("tfoot", {}, html("tr", {}, nameCell(foot[0]), ...foot.slice(1))));
  return parts;
}

function nameCell(name) {
  return html("th", { scope: "row" }, name);
}

/** A class with the colour that it has everywhere. */
export function classLabel(name, index) {
  return html("span", { class: "class-label" }, html("span", { class: "swatch", "--class": classColor(index), "aria-hidden": "true" }), name);
}

/** A bar from 0 to the value, on a track from `low` to `high`. */
export function barRow(name, value, { color, low = 0, high = 1, text = short(value) }) {
  const track = html("span", { class: "track", "aria-hidden": "true" });
  if (Number.isFinite(value)) {
    const place = (x) => (100 * (x - low)) / (high - low);
    const bar = html("i", { "--class": color });
    bar.style.left = `${place(Math.min(0, value))}%`;
    bar.style.width = `${place(Math.abs(value) + low)}%`;
    track.append(bar);
    if (low < 0) {
      const zero = html("b");
      zero.style.left = `${place(0)}%`;
      track.append(zero);
    }
  }
  return html("div", { class: "bar-row" }, html("span", { class: "name" }, name), track, number("span", value, { text }));
}
