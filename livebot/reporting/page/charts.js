// A chart that time can be zoomed into and moved along, whose values fit what is in view; drawn by plotly.
"use strict";
const element = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const MOVED_PX = 6; // so far a finger goes before it moves the chart
const ROOM = 0.08; // of the height, above and below what is in view
const MARGINS = { l: 12, r: 12, t: 34, b: 42 }; // pixels around the panels

const axis = () => ({ gridcolor: colour("line"), linecolor: colour("line"), zeroline: false });
const timeAxis = () => ({
  ...axis(),
  type: "date",
  rangeslider: { visible: false },
  showspikes: true,
  spikemode: "across",
  spikesnap: "hovered data",
  spikecolor: colour("strong"),
  spikethickness: 1,
  spikedash: "dot",
});
// its range follows what is in view, so that only time is zoomed and moved
const valueAxis = () => ({
  ...axis(),
  side: "right",
  fixedrange: true,
  automargin: true,
  exponentformat: "none",
  separatethousands: true,
});
const look = () => ({
  paper_bgcolor: colour("paper"),
  plot_bgcolor: colour("paper"),
  font: { family: "system-ui, sans-serif", size: 12, color: colour("soft") },
  margin: MARGINS,
  modebar: { bgcolor: "transparent", color: colour("soft"), activecolor: colour("accent") },
  showlegend: false,
  dragmode: "pan",
  hovermode: "x",
});
const SETTINGS = {
  displaylogo: false,
  displayModeBar: true,
  modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d"]],
  scrollZoom: true,
  doubleClick: "reset",
  responsive: true,
  showTips: false,
  showAxisDragHandles: false,
  showAxisRangeEntryBoxes: false,
};

// what a panel shows, and in which unit, above its upper left corner
const named = (text, panel) => ({
  text,
  xref: "x domain",
  yref: `${panel} domain`,
  x: 0,
  y: 1,
  xanchor: "left",
  yanchor: "bottom",
  showarrow: false,
});

function spread(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return [low, high];
}

function roomy([low, high]) {
  const room = (high - low) * ROOM || Math.abs(high) * 0.01 || 1;
  return [low - room, high + room];
}

// first place that is not before this time, and so many if all are
function placeAt(times, moment_ms) {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < moment_ms) low = middle + 1;
    else high = middle;
  }
  return low;
}

const milliseconds = (value) =>
  typeof value === "number" ? value : Date.parse(value.length > 10 ? `${value.replace(" ", "T")}Z` : value);

// A drawing whose values fit the times in view: `fitted(from, to)` gives the ranges of its value axes.
class Chart {
  constructor(id) {
    this.box = element(id);
    this.fingers = new Map();
    // plotly would take each touch for itself, and the page could not be scrolled past the chart
    this.box.addEventListener("touchstart", (event) => event.stopPropagation(), { capture: true, passive: true });
    this.box.addEventListener("pointerdown", (event) => this.touched(event));
    this.box.addEventListener("pointermove", (event) => this.moved(event));
    for (const end of ["pointerup", "pointercancel"]) {
      this.box.addEventListener(end, (event) => this.fingers.delete(event.pointerId) && this.hold());
    }
  }

  draw(traces, layout, [from, to], fitted) {
    this.fitted = fitted;
    Object.assign(layout.xaxis, { range: [from, to], minallowed: from, maxallowed: to });
    for (const [path, range] of Object.entries(fitted(from, to))) layout[path.split(".")[0]].range = range;
    Plotly.newPlot(this.box, traces, { ...look(), ...layout }, SETTINGS);
    this.box.on("plotly_relayout", (change) => this.fit(change));
  }

  fit(change) {
    const names = Object.keys(change);
    if (!names.some((name) => name.startsWith("xaxis.")) || names.includes("yaxis.range")) return;
    Plotly.relayout(this.box, this.fitted(...this.view()));
  }

  view() {
    return this.box.layout.xaxis.range.map(milliseconds);
  }

  // ------ fingers: sideways moves the chart and two zoom it; up and down is left to the page

  share(clientX) {
    const { left, width } = this.box.querySelector(".nsewdrag").getBoundingClientRect();
    return (clientX - left) / width;
  }

  hold() {
    const [from, to] = this.view();
    for (const finger of this.fingers.values()) finger.time = from + (to - from) * this.share(finger.x);
  }

  touched(event) {
    if (event.pointerType !== "touch" || event.target.closest(".modebar")) return;
    this.fingers.set(event.pointerId, { begun: event.clientX, x: event.clientX });
    this.hold();
  }

  moved(event) {
    const finger = this.fingers.get(event.pointerId);
    if (finger === undefined || (!finger.moving && Math.abs(event.clientX - finger.begun) < MOVED_PX)) return;
    if (!finger.moving) this.box.setPointerCapture(event.pointerId);
    Object.assign(finger, { moving: true, x: event.clientX });
    this.frame ??= requestAnimationFrame(() => this.follow());
  }

  // what was under each finger stays under it
  follow() {
    this.frame = undefined;
    const [one, two] = this.fingers.values();
    if (one === undefined) return;
    const [from, to] = this.view();
    const [there, other] = [this.share(one.x), two && this.share(two.x)];
    const span = two ? (two.time - one.time) / (other - there) : to - from;
    if (!(span > 0 && Number.isFinite(span))) return;
    const [least, most] = [this.box.layout.xaxis.minallowed, this.box.layout.xaxis.maxallowed];
    const width = Math.min(span, most - least);
    const begin = Math.min(Math.max(one.time - there * span, least), most - width);
    Plotly.relayout(this.box, { "xaxis.range": [begin, begin + width], ...this.fitted(begin, begin + width) });
  }
}
