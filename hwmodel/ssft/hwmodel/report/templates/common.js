"use strict";
// What all parts of the page use: the data, numbers as text, elements, the tooltip.
const read = (name) => JSON.parse(document.getElementById("data-" + name).textContent);
const R = read("report"), T = read("timeline"), M = read("memory"), CONSTANTS = read("constants");
const PHASES = Object.keys(R.phases);

const byId = (id) => document.getElementById(id);
const words = (text) => text.replaceAll("_", " ");
const share = (part, whole) => (whole ? part / whole : 0);
const percent = (value) => (100 * value).toFixed(1) + " %";
const count = (value) => Math.round(value).toLocaleString("en-US");
const colour = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

function si(value, unit = "") {
  if (value === null || value === undefined) return "";
  let size = Math.abs(value), step = 0;
  const small = unit && size > 0 && size < 1;
  const prefixes = small ? ["", "m", "u", "n", "p", "f"] : ["", "k", "M", "G", "T", "P", "E"];
  while (step < prefixes.length - 1 && (small ? size < 1 : size >= 1000)) {
    size *= small ? 1000 : 1e-3; value *= small ? 1000 : 1e-3; step++;
  }
  return (Number(value.toPrecision(4)) + " " + prefixes[step] + unit).trim();
}
function bytes(value) {
  let unit = 0;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit++; }
  return Number(value.toPrecision(4)) + " " + units[unit];
}
const time = (cycles) => si(cycles / T.frequency, "s");
const brief = (path, parts = 2) => path.split("/").slice(-parts).join("/");

function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "line", "path", "circle", "rect", "text", "polyline"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag)
                   : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "tip") showTip(node, value);
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

const tip = byId("tip");
function placeTip(event, text) {
  tip.textContent = text;
  tip.hidden = false;
  const box = tip.getBoundingClientRect(), gap = 14;
  const x = event.clientX + gap + box.width > innerWidth ? event.clientX - gap - box.width
                                                         : event.clientX + gap;
  const y = event.clientY + gap + box.height > innerHeight ? event.clientY - gap - box.height
                                                           : event.clientY + gap;
  tip.style.left = Math.max(4, x) + "px";
  tip.style.top = Math.max(4, y) + "px";
}
const hideTip = () => { tip.hidden = true; };
function showTip(node, text) {
  node.addEventListener("pointermove", (event) => placeTip(event, text));
  node.addEventListener("pointerleave", hideTip);
}

// A canvas as wide as its element, sharp on every screen; `draw(context, width)` in CSS pixels.
function canvas(id, height, draw) {
  const node = byId(id);
  function paint() {
    const width = node.clientWidth, ratio = devicePixelRatio || 1;
    node.style.height = height + "px";
    node.width = Math.round(width * ratio);
    node.height = Math.round(height * ratio);
    const context = node.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    draw(context, width);
  }
  addEventListener("resize", paint);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  paint();
  return paint;
}

// A table; columns are [heading, value(row), text(row), left?]. Headings sort if asked to.
function table(columns, rows, sortable = false) {
  const body = make("tbody");
  const fill = (list) => body.replaceChildren(...list.map((row) => make("tr", {},
    ...columns.map(([, , text, left]) => {
      const cell = text(row);
      return make("td", left ? { class: "left" } : {}, cell instanceof Node ? cell : String(cell));
    }))));
  let order = null, down = true;
  const heads = columns.map(([name, value, , left]) => {
    const head = make("th", { class: (left ? "left " : "") + (sortable && value ? "sortable" : "") },
                      name);
    if (sortable && value) head.addEventListener("click", () => {
      down = order === name ? !down : true;
      order = name;
      const key = (row) => value(row) ?? -Infinity;
      const compare = (a, b) => (key(a) > key(b)) - (key(a) < key(b));
      fill([...rows].sort((a, b) => (down ? -1 : 1) * compare(a, b)));
    });
    return head;
  });
  fill(rows);
  return make("table", {}, make("thead", {}, make("tr", {}, ...heads)), body);
}

// A bar of coloured parts, each [share of the whole, colour, tooltip].
function scale(parts) {
  return make("div", { class: "scale" }, ...parts.map(([part, paint, text]) => {
    const piece = make("i", { style: `width:${100 * part}%;background:var(--${paint})` });
    if (text) showTip(piece, text);
    return piece;
  }));
}
