// Draws what stands in #data of a comparison: differences, sums over time, reliability, features.
// Names are escaped by whoever made the data, for plotly reads markup in what it shows.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = () => window.innerWidth < 640;
  const LINES = ["accent", "gain", "loss", "strong", "ink", "soft"];
  const DASHES = ["solid", "dot", "dash", "dashdot", "longdash", "longdashdot"];
  const ROW_PX = 24; // of a bar with its name
  const SETTINGS = { displayModeBar: false, responsive: true, showTips: false, scrollZoom: false };
  document.documentElement.classList.add("scripted");

  const percent = { tickformat: "+.0%", hoverformat: "+.2%" };
  const fixed = (more) => ({ ...axis(), fixedrange: true, automargin: true, ...more });
  const zero = () => ({ zeroline: true, zerolinecolor: colour("strong"), zerolinewidth: 2 });
  const below = () => ({ showlegend: true, legend: { orientation: "h", x: 0, y: -0.18, yanchor: "top" } });

  function show(id, traces, layout, rows) {
    const box = element(id);
    if (!traces.length) {
      box.closest("section").remove();
      return;
    }
    if (rows) box.style.height = `${rows * ROW_PX + 90}px`;
    const general = { ...look(), dragmode: false, hovermode: "closest", margin: { l: 8, r: 12, t: 12, b: 42 } };
    general.font.size = narrow() ? 10 : 12;
    Plotly.react(box, traces, { ...general, ...layout }, SETTINGS);
  }

  function drawForest() {
    const rows = data.forest.toReversed();
    const trace = {
      type: "scatter",
      mode: "markers",
      x: rows.map(({ yearly }) => yearly),
      y: rows.map(({ name }) => name),
      marker: { size: 9, color: rows.map(({ low, high }) => colour(low > 0 ? "gain" : high < 0 ? "loss" : "strong")) },
      error_x: {
        type: "data",
        symmetric: false,
        array: rows.map(({ yearly, high }) => high - yearly),
        arrayminus: rows.map(({ yearly, low }) => yearly - low),
        color: colour("soft"),
        thickness: 1.5,
        width: 4,
      },
      hovertemplate: "%{y}: %{x}<extra></extra>",
    };
    const layout = { xaxis: fixed({ ...percent, ...zero() }), yaxis: fixed({ type: "category", dtick: 1 }) };
    show("forest-chart", rows.length ? [trace] : [], layout, rows.length);
  }

  function drawFolds() {
    const { names, arms } = data.folds;
    const traces = arms.map(({ name, added }, place) => {
      let sum = 0;
      return {
        type: "scatter",
        mode: "lines",
        name,
        x: names,
        y: added.map((each) => (sum += each)),
        line: { color: colour(LINES[place % LINES.length]), dash: DASHES[place % DASHES.length], width: 2 },
        hovertemplate: "%{fullData.name}, from %{x}: %{y}<extra></extra>",
      };
    });
    show("folds-chart", traces, { ...below(), xaxis: fixed({ type: "date" }), yaxis: fixed({ ...percent, ...zero() }) });
  }

  function drawReliability() {
    const curves = data.reliability.filter(({ points }) => points.length);
    const all = curves.flatMap(({ points }) => points.flatMap(([given, won]) => [given, won]));
    const [low, high] = roomy(spread(all));
    const line = {
      type: "scatter",
      mode: "lines",
      name: "as it should be",
      x: [low, high],
      y: [low, high],
      line: { color: colour("strong"), dash: "dot", width: 1 },
      hoverinfo: "skip",
    };
    const traces = curves.map(({ name, points }, place) => ({
      type: "scatter",
      mode: "lines+markers",
      name,
      x: points.map(([given]) => given),
      y: points.map(([, won]) => won),
      text: points.map(([, , rows]) => rows.toLocaleString("en-US")),
      line: { color: colour(LINES[place % LINES.length]), width: 1.5 },
      marker: { size: 7 },
      hovertemplate: "%{fullData.name}: given %{x}, won %{y}, %{text} entries<extra></extra>",
    }));
    const share = { tickformat: ".0%", hoverformat: ".1%" };
    show("reliability-chart", curves.length ? [line, ...traces] : [], {
      ...below(),
      legend: { ...below().legend, y: -0.24 },
      xaxis: fixed({ ...share, title: { text: "confidence given", standoff: 4 } }),
      yaxis: fixed({ ...share, title: { text: "share of wins", standoff: 4 } }),
    });
  }

  function drawFeatures() {
    const rows = data.features.toReversed();
    const trace = {
      type: "bar",
      orientation: "h",
      x: rows.map(({ value }) => value),
      y: rows.map(({ name }) => name),
      marker: { color: rows.map(({ value }) => colour(value > 0 ? "accent" : "strong")) },
      hovertemplate: "%{y}: %{x:.5f}<extra></extra>",
    };
    const layout = {
      xaxis: fixed({ ...zero(), title: { text: "rise of the log loss", standoff: 4 }, nticks: 5, tickformat: ".4f" }),
      yaxis: fixed({ type: "category", dtick: 1 }),
    };
    show("features-chart", rows.length ? [trace] : [], layout, rows.length);
  }

  const drawings = [drawForest, drawFolds, drawReliability, drawFeatures];
  const draw = () => drawings.forEach((each) => each());
  draw();
  dark.addEventListener("change", draw);
})();
