// Building elements and writing numbers. Names of tables and texts of errors
// come from databases: they become text nodes, never markup.

function el(tag, props, ...children) {
  const e = document.createElement(tag);
  for (const [key, value] of Object.entries(props || {})) {
    if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else if (key === "class") e.className = value;
    else e.setAttribute(key, value);
  }
  e.append(...children);
  return e;
}

function svg(tag, attributes, ...children) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes || {})) e.setAttribute(key, value);
  e.append(...children);
  return e;
}

// put changes a text only where it differs, so that a selection survives.
function put(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

// prose returns what a sentence consists of: names of fields stand in backticks.
function prose(text) {
  return text.split("`").map((part, i) => (i % 2 ? el("code", null, part) : part));
}

function put2(e, value, unit) {
  const key = value + "|" + unit;
  if (e.dataset.key === key) return;
  e.dataset.key = key;
  e.replaceChildren(value, " ", el("small", null, unit));
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

function count(n) {
  return n < 1e6 ? whole.format(n) : compact.format(n);
}

// bytes in the units of pg_size_pretty.
function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let i = 0;
  for (n = Math.max(0, n); n >= 1024 && i < units.length - 1; i++) n /= 1024;
  return [n >= 100 || i === 0 ? whole.format(n) : n.toFixed(1), units[i]];
}

function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return s + " s";
  const m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
  if (m < 60) return m + " min" + (m < 10 && s % 60 ? " " + (s % 60) + " s" : "");
  if (h < 48) return h + " h" + (m % 60 ? " " + (m % 60) + " min" : "");
  return d + " d" + (h % 24 ? " " + (h % 24) + " h" : "");
}

// lag as a number and its unit: tenths where they matter.
function lag(seconds) {
  if (seconds < 10) return [seconds < 0.05 ? "0" : seconds.toFixed(1), "s"];
  const text = span(seconds), cut = text.indexOf(" ");
  return [text.slice(0, cut), text.slice(cut + 1)];
}
