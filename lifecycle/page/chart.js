// A row of numbers of the last minutes as a small chart, newest at the right.

const points = 150, fewest = 45; // samples kept, and the least that fills a chart
const chartHeight = 40;
const fewestOfPhase = 5; // samples of a phase that tell what is usual in it
const flattening = 10; // times as high: what lies beside it can no longer be read

// scale returns the value at the top of a chart: the highest, unless that is
// from before the last values, those of the present phase, and would flatten
// them, as a load does the changes after it. It may run off the top instead.
function scale(values, last) {
  const most = Math.max(1e-9, ...values), usual = Math.max(1e-9, ...values.slice(-Math.max(last, 1)));
  return (last >= fewestOfPhase && usual > 1e-9 && most > flattening * usual ? usual : most) * 1.08;
}

class Spark {
  constructor(label, write) {
    this.write = write;
    this.values = [];
    this.interval = 2;
    this.area = svg("path", { class: "area" });
    this.edge = svg("path", { class: "edge" });
    this.cut = svg("path", { class: "cut" });
    this.now = el("div", { class: "now" });
    this.note = el("div", { class: "note" });
    this.peak = el("span");
    this.drawing = svg("svg", { preserveAspectRatio: "none", "aria-hidden": "true" }, this.area, this.edge, this.cut);
    this.box = el("div", { class: "spark" }, this.drawing);
    this.root = el("div", { class: "tile" }, el("div", { class: "name" }, el("span", null, label), this.peak), this.now, this.note, this.box);
    this.box.addEventListener("pointermove", (e) => this.point(e));
    this.box.addEventListener("pointerleave", () => this.leave());
  }

  // show draws the values, and writes the present one unless a pointer asks for
  // another. Where there is nothing to measure, present is undefined. The last
  // values are of the present phase.
  show(values, interval, present, last) {
    this.values = values;
    this.interval = interval;
    this.present = present;
    const top = scale(values, last);
    const room = (this.room = Math.max(values.length, fewest));
    this.drawing.setAttribute("viewBox", `0 0 ${room - 1} ${chartHeight}`);
    const x = (i) => room - values.length + i, y = (v) => (chartHeight - 1 - (v / top) * (chartHeight - 4)).toFixed(1);
    const line = values.map((v, i) => `${x(i)} ${y(v)}`).join("L");
    this.edge.setAttribute("d", values.length ? "M" + line : "");
    this.area.setAttribute("d", values.length ? `M${x(0)} ${chartHeight}L${line}L${room - 1} ${chartHeight}Z` : "");
    const most = Math.max(0, present || 0, ...values);
    put(this.peak, most > 0 ? "peak " + this.write(most).join(" ") : "");
    if (this.at === undefined) this.leave();
  }

  point(e) {
    const r = this.box.getBoundingClientRect(), n = this.values.length, before = this.room - n;
    const i = Math.round(((e.clientX - r.left) / r.width) * (this.room - 1)) - before;
    if (i < 0 || i >= n) return this.leave();
    this.at = i;
    const [value, unit] = this.write(this.values[i]);
    put2(this.now, value, `${unit}, ${span((n - 1 - i) * this.interval)} ago`);
    this.cut.setAttribute("d", `M${before + i} 0V${chartHeight}`);
  }

  leave() {
    this.at = undefined;
    this.cut.setAttribute("d", "");
    put2(this.now, ...(this.present === undefined ? ["–", ""] : this.write(this.present)));
  }
}
