import { element } from "./dom.js";
import { duration, time } from "./format.js";

const xmlns = "http://www.w3.org/2000/svg";
const height = 144, left = 48, bottom = 18, top = 6;

function svg(name, attributes, text) {
  const e = document.createElementNS(xmlns, name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  if (text !== undefined) e.textContent = text;
  return e;
}

// niceTop is the least of 1, 2, 5, 10, 20 … that is not below n.
function niceTop(n) {
  const power = 10 ** Math.floor(Math.log10(Math.max(n, 1e-9)));
  for (const step of [1, 2, 5, 10]) if (n <= step * power) return step * power;
}

// moment writes a time as the axis shows it: with the day where the axis is longer than one.
function moment(t, days) {
  return days ? new Date(t * 1000).toISOString().slice(5, 16).replace("T", " ") : time(t * 1000);
}

// Chart draws one or two series of the history as lines.
export class Chart {
  // series: [{name, of: sample → number}]; write: number → text; least: what the scale reaches at least.
  constructor(title, series, write, least = 1) {
    Object.assign(this, { series, write, least, samples: [], at: null });
    this.value = element("span", { className: "key" });
    this.svg = svg("svg", { role: "img", "aria-label": title });
    this.root = element("figure", { className: "card chart" },
      element("figcaption", {}, element("h2", {}, title), this.value), this.svg);
    new ResizeObserver(() => this.draw()).observe(this.svg);
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => { this.at = null; this.draw(); });
  }

  // every is how far the samples are apart, in seconds.
  update(samples, every) {
    Object.assign(this, { samples, every });
    if (!samples.includes(this.at)) this.at = null;
    this.draw();
  }

  // point notes which sample the pointer is nearest to.
  point(event) {
    const x = event.clientX - this.svg.getBoundingClientRect().left;
    const near = (s) => Math.abs(this.x(s.t) - x);
    this.at = this.samples.reduce((best, s) => (best === null || near(s) < near(best) ? s : best), null);
    this.draw();
  }

  draw() {
    const width = this.svg.clientWidth;
    if (width === 0) return;
    if (this.samples.length === 0) {
      this.svg.replaceChildren(svg("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, `A moment: there is a value every ${duration(this.every ?? 10)}.`));
      return;
    }
    const last = this.samples.at(-1).t, first = Math.min(this.samples[0].t, last - 60);
    const most = Math.max(this.least, ...this.samples.flatMap((s) => this.series.map((one) => one.of(s) ?? 0)));
    const limit = niceTop(most);
    this.days = last - first > 86_400;
    this.x = (t) => left + ((t - first) / (last - first)) * (width - left - 4);
    this.y = (value) => top + (1 - value / limit) * (height - top - bottom);
    this.svg.replaceChildren(...this.axes(first, last, limit, width), ...this.lines(), ...this.cursor());
    this.legend(this.at ?? this.samples.at(-1));
  }

  axes(first, last, limit, width) {
    const parts = [];
    for (const part of [0, 0.5, 1]) {
      const y = this.y(limit * part);
      parts.push(svg("line", { class: "grid", x1: left, x2: width, y1: y, y2: y }),
        svg("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, this.write(limit * part)));
    }
    return [...parts,
      svg("text", { x: left, y: height - 2 }, moment(first, this.days)),
      svg("text", { x: width - 4, y: height - 2, "text-anchor": "end" }, moment(last, this.days) + " UTC")];
  }

  lines() {
    return this.series.flatMap((one, i) => {
      const known = this.samples.filter((s) => one.of(s) !== undefined && one.of(s) !== null);
      if (known.length === 0) return [];
      const path = known.map((s, j) => `${j ? "L" : "M"}${this.x(s.t).toFixed(1)} ${this.y(one.of(s)).toFixed(1)}`).join("");
      if (this.series.length > 1) return [svg("path", { class: i ? "series second" : "series first", d: path })];
      const line = svg("path", { class: "series", d: path });
      const floor = this.y(0);
      return [svg("path", { class: "area", d: `${path}L${this.x(known.at(-1).t)} ${floor}L${this.x(known[0].t)} ${floor}Z` }), line];
    });
  }

  cursor() {
    if (this.at === null) return [];
    const x = this.x(this.at.t);
    return [svg("line", { class: "cursor", x1: x, x2: x, y1: top, y2: height - bottom })];
  }

  legend(sample) {
    this.value.replaceChildren(this.at ? moment(sample.t, this.days) : "", ...this.series.flatMap((one, i) => {
      const value = one.of(sample);
      const mark = this.series.length > 1 ? element("i", { className: i ? "second" : "" }) : " ";
      return [mark, `${one.name} ${value === undefined || value === null ? "–" : this.write(value)}`.trim()];
    }));
  }
}
