// Draws what stands in #data: equity and its fall, and trades on their candles.
// Names never go to plotly, which reads markup in what it shows: they stand in elements of the page, as text.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const plain = (value, digits) =>
    value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const moment = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ");
  document.documentElement.classList.add("scripted");

  const themed = [];
  const whenThemed = (paint) => {
    themed.push(paint);
    paint();
  };
  dark.addEventListener("change", () => themed.forEach((paint) => paint()));

  // ---------------------------------------------------------------- equity

  function drawEquity() {
    const { t, equity, fall, unit } = data.equity;
    const times = t.map((seconds) => seconds * 1000);
    const chart = new Chart("equity-chart");
    const read = (place) => {
      element("equity-reading").textContent =
        `${moment(t[place])} UTC: equity ${plain(equity[place], 2)}, drawdown ${plain(fall[place], 2)} ${unit}`;
    };
    const last = t.length - 1;
    const fitted = (from, to) => {
      const [begin, end] = [Math.max(0, placeAt(times, from) - 1), Math.min(last, placeAt(times, to)) + 1];
      const deepest = spread(fall.slice(begin, end))[0] || -1;
      return { "yaxis.range": roomy(spread(equity.slice(begin, end))), "yaxis2.range": [deepest * (1 + ROOM), 0] };
    };
    const line = { type: "scatter", mode: "lines", x: times, hoverinfo: "none" };
    whenThemed(() => {
      const traces = [
        { ...line, y: equity, line: { color: colour("accent"), width: 2 } },
        {
          ...line,
          y: fall,
          yaxis: "y2",
          fill: "tozeroy",
          fillcolor: colour("fall"),
          line: { color: colour("down"), width: 2 },
        },
      ];
      const layout = {
        hoverdistance: -1, // the nearest point, however far
        xaxis: { ...timeAxis(), anchor: "y2" },
        yaxis: { ...valueAxis(), domain: [0.38, 1] },
        yaxis2: { ...valueAxis(), domain: [0, 0.27], ticksuffix: unit === "%" ? " %" : "", nticks: 4 },
        annotations: [
          named("Equity (quote currency)", "y"),
          named(`Drawdown: below the peak so far (${unit})`, "y2"),
        ],
      };
      chart.draw(traces, layout, [times[0], Math.max(times[last], times[0] + 1000)], fitted);
      chart.box.on("plotly_hover", ({ points }) => read(points[0].pointIndex));
      chart.box.on("plotly_unhover", () => read(last));
      read(last);
    });
  }

  // ---------------------------------------------------------------- candles

  const TAG_PX = 11; // the height of text on the price axis
  const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;

  // columns; `x` are milliseconds
  function candlesOf({ t, p }, digits) {
    const x = Array.from(new Uint32Array(bytes(t)), (seconds) => seconds * 1000);
    const prices = Array.from(new Float32Array(bytes(p)), (price) => Number(price.toFixed(digits)));
    const [open, high, low, close] = [0, 1, 2, 3].map((row) => prices.slice(row * x.length, (row + 1) * x.length));
    return { x, open, high, low, close };
  }

  function length(seconds) {
    for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
      if (seconds >= size) return `${+(seconds / size).toFixed(1)}-${unit}`;
    }
    return `${seconds}-second`;
  }

  const entryMark = (trade, seconds) => ({
    x: seconds * 1000,
    y: trade.entry,
    symbol: trade.long ? "triangle-up" : "triangle-down",
    color: colour("accent"),
    size: 1.2,
  });

  const exitMark = (trade, seconds) => ({
    x: seconds * 1000,
    y: trade.exit,
    symbol: "circle",
    color: colour(trade.win ? "gain" : "loss"),
    size: 0.8,
  });

  function marksTrace(marks, size) {
    const column = (name) => marks.map((mark) => mark[name]);
    return {
      type: "scatter",
      mode: "markers",
      x: column("x"),
      y: column("y"),
      hoverinfo: "skip",
      marker: {
        symbol: column("symbol"),
        color: column("color"),
        size: marks.map((mark) => mark.size * size),
        opacity: 1,
        line: { color: colour("paper"), width: 1 },
      },
    };
  }

  // the last of these candles that has begun by then (the first one if none has), in seconds
  const holding = ({ x }, seconds) => x[Math.max(0, placeAt(x, seconds * 1000 + 1) - 1)] / 1000;

  // Candles of a symbol with all its trades, or around one of them.
  class TradeChart {
    constructor() {
      this.chart = new Chart("trade-chart");
    }

    draw(candles, digits, step, traces, levels) {
      const half = step * 500;
      const last = candles.x.length - 1;
      const longest = Math.max(0, ...levels.map(({ price }) => plain(price, digits).length));
      const layout = {
        margin: { ...MARGINS, r: MARGINS.r + longest * TAG_PX * 0.65 },
        xaxis: timeAxis(),
        yaxis: valueAxis(),
        annotations: [named("Price (quote currency)", "y"), ...levels.map((level) => this.tag(level, digits))],
        shapes: levels.map((level) => this.line(level)),
      };
      const fitted = (from, to) => {
        const [begin, end] = [Math.min(last, placeAt(candles.x, from - half)), placeAt(candles.x, to + half)];
        const places = [begin, Math.max(end, begin + 1)];
        const [low, high] = [spread(candles.low.slice(...places))[0], spread(candles.high.slice(...places))[1]];
        // stop and target are in view, unless that would flatten the candles
        const room = high - low;
        const near = levels.map(({ price }) => price).filter((price) => price > low - room && price < high + room);
        return { "yaxis.range": roomy(spread([low, high, ...near])) };
      };
      const range = [candles.x[0] - 2 * half, candles.x[last] + 2 * half];
      this.chart.draw([this.candles(candles), ...traces], layout, range, fitted);
      const read = (place) => {
        const prices = ["open", "high", "low", "close"].map((name) => `${name} ${plain(candles[name][place], digits)}`);
        element("candle-reading").textContent = `${moment(candles.x[place] / 1000)} UTC: ${prices.join(", ")}`;
      };
      this.chart.box.on("plotly_hover", ({ points }) => read(points[0].pointIndex));
      this.chart.box.on("plotly_unhover", () => read(last));
      read(last);
    }

    candles({ x, open, high, low, close }) {
      const kind = (name) => ({ line: { color: colour(name), width: 1 }, fillcolor: colour(name) });
      const [increasing, decreasing] = [kind("up"), kind("down")];
      return { type: "candlestick", x, open, high, low, close, increasing, decreasing, hoverinfo: "none" };
    }

    line({ price, color }) {
      const line = { color, width: 1.5, dash: "dot" };
      return { type: "line", xref: "x domain", x0: 0, x1: 1, y0: price, y1: price, line };
    }

    // on the axis, where it hides no candle
    tag({ price, title, color }, digits) {
      const text = `${title}<br>${plain(price, digits)}`;
      const place = { xref: "x domain", x: 1, xanchor: "left", xshift: 2, yref: "y", y: price, yanchor: "middle" };
      const font = { color: colour("paper"), size: TAG_PX };
      return { text, ...place, showarrow: false, align: "left", font, bgcolor: color, borderpad: 2 };
    }

    showWhole(name) {
      const { candles, digits, marks, step, total } = data.symbols[name];
      const drawn = candlesOf(candles, digits);
      const made = marks.flatMap(([opened, entry, closed, exit, long, win]) => [
        entryMark({ entry, long }, holding(drawn, opened)),
        exitMark({ exit, win }, holding(drawn, closed)),
      ]);
      this.draw(drawn, digits, step, [marksTrace(made, 9)], []);
      const part = marks.length < total ? `the newest ${marks.length} of ` : "";
      const trades = `${part}${total} trade${total === 1 ? "" : "s"}`;
      element("trade-reading").textContent = `${name}: ${trades} on ${length(step)} candles`;
    }

    showTrade(trade) {
      const { digits } = data.symbols[trade.symbol];
      const [gain, loss] = [colour("gain"), colour("loss")];
      const levels = [
        { price: trade.stop, title: "stop", color: loss },
        { price: trade.target, title: "target", color: gain },
      ].filter(({ price }) => price !== null);
      const way = {
        type: "scatter",
        mode: "lines",
        x: [trade.in * 1000, trade.out * 1000],
        y: [trade.entry, trade.exit],
        hoverinfo: "skip",
        line: { color: trade.win ? gain : loss, width: 2, dash: "dash" },
      };
      const marks = marksTrace([entryMark(trade, trade.in), exitMark(trade, trade.out)], 14);
      this.draw(candlesOf(trade.candles, digits), digits, trade.step, [way, marks], levels);
      element("trade-reading").textContent = `${trade.label} (${length(trade.step)} candles)`;
    }
  }

  // ---------------------------------------------------------------- choosing a trade

  // What is shown: a symbol, and one of its trades by its place in data.trades, or none.
  class Choice {
    constructor(chart) {
      this.chart = chart;
      this.rows = [...document.querySelectorAll("#trades tbody tr")].reverse();
      this.symbol = Object.keys(data.symbols)[0];
      this.trade = null;
      Object.keys(data.symbols).forEach((name) => element("symbol").add(new Option(name, name)));
      element("symbol").addEventListener("change", (event) => this.choose(event.target.value, null));
      element("whole").addEventListener("click", () => this.choose(this.symbol, null));
      element("older").addEventListener("click", () => this.choose(this.symbol, this.older()));
      element("newer").addEventListener("click", () => this.choose(this.symbol, this.newer()));
      this.rows.forEach((row, place) => this.listen(row, place));
      element("trade-hint").textContent =
        "Triangle: entry (up long, down short). Dot: exit. Dotted: stop and target at the entry. A double click shows all again.";
    }

    listen(row, place) {
      const trade = data.trades[place];
      if (!trade.candles) return;
      row.classList.add("choice");
      row.tabIndex = 0;
      row.addEventListener("click", () => {
        this.choose(trade.symbol, place);
        element("trades").scrollIntoView({ block: "start", behavior: "smooth" });
      });
      row.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        this.choose(trade.symbol, place);
      });
    }

    places() {
      return data.trades.flatMap((trade, place) => (trade.symbol === this.symbol && trade.candles ? [place] : []));
    }

    older() {
      return this.places().findLast((place) => this.trade === null || place < this.trade);
    }

    newer() {
      return this.places().find((place) => this.trade !== null && place > this.trade);
    }

    choose(symbol, trade) {
      this.symbol = symbol;
      this.trade = trade;
      this.paint();
      if (trade !== null) this.inView(this.rows[trade]);
    }

    paint() {
      this.rows.forEach((row, place) => row.classList.toggle("chosen", place === this.trade));
      element("symbol").value = this.symbol;
      element("older").disabled = this.older() === undefined;
      element("newer").disabled = this.newer() === undefined;
      element("whole").disabled = this.trade === null;
      if (this.trade === null) this.chart.showWhole(this.symbol);
      else this.chart.showTrade(data.trades[this.trade]);
    }

    inView(row) {
      const box = row.closest(".wide");
      const head = box.querySelector("thead").offsetHeight;
      if (row.offsetTop - head < box.scrollTop) box.scrollTop = row.offsetTop - head;
      const under = row.offsetTop + row.offsetHeight - box.clientHeight;
      if (under > box.scrollTop) box.scrollTop = under;
    }
  }

  function drawTrades() {
    const chart = new TradeChart();
    const choice = new Choice(chart);
    whenThemed(() => choice.paint());
  }

  drawEquity();
  if (element("trade-chart")) drawTrades();
})();
