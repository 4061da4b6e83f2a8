"use strict";
(() => {
  const { data, config, byId, plain, shorten, widest, fill, spike, layout } = base;
  const methods = data.methods;
  const contenders = methods.filter((method) => !method.bound);
  const hidden = new Set(contenders.length ? methods.filter((method) => method.bound).map((method) => method.name) : []);
  const BARS = 60; // more than these in one chart are drawn as dots
  const redraws = [];

  const above = (method) => methods.length - methods.indexOf(method); // the best lies on top
  const scaled = (measure, value) => (value === null || value === undefined ? null : value * measure.scale);
  const axisTitle = (measure) => plain(measure.title + (measure.unit ? ` (${measure.unit})` : ""));
  // Infinity: no figure takes part last
  const rank = (measure, value) => {
    if (value === null || value === undefined) return Infinity;
    if (measure.direction === "closest to 1") return Math.abs(value - 1);
    return measure.direction === "lower" ? value : -value;
  };

  // ---- by clip
  function clipOrder(measure, rows) {
    const shown = contenders.length ? contenders : methods;
    const own = methods.indexOf(shown[0]);
    const margin = data.clips.map((_, clip) => {
      const lead = rank(measure, rows[own][clip]);
      const others = shown.slice(1).map((method) => rank(measure, rows[methods.indexOf(method)][clip]));
      const best = Math.min(...others);
      return Number.isFinite(best) && measure.direction !== "none" ? lead - best : lead;
    });
    return data.clips.map((_, clip) => clip).sort((a, b) => (margin[a] === margin[b] ? 0 : margin[a] - margin[b]));
  }

  function drawClips() {
    const key = byId("clips-measure").value;
    const measure = data.measures[key];
    const rows = data.byClip[key];
    const order = clipOrder(measure, rows);
    const shown = methods.filter((method) => !hidden.has(method.name));
    const bars = shown.length * order.length <= BARS;
    const values = (method) => order.map((clip) => scaled(measure, rows[methods.indexOf(method)][clip]));
    const y = order.map((_, i) => i);
    const traces = shown.map((method) => ({
      ...(bars
        ? { type: "bar", orientation: "h", marker: { color: method.color }, texttemplate: `%{x:.${measure.digits}f}`, textposition: "outside", cliponaxis: false, textfont: { size: 11 } }
        : { type: "scatter", mode: "markers", zorder: above(method), marker: { color: method.color, symbol: method.symbol, size: 9 } }),
      name: plain(method.name),
      x: values(method),
      y,
      hovertemplate: `%{x:.${measure.digits}f}<extra>${plain(method.name)}</extra>`,
    }));
    if (!bars) traces.unshift(ranges(shown.map(values), y));
    const row = bars ? shown.length * 15 + 14 : 24;
    const labels = order.map((clip) => shorten(data.clips[clip]));
    const style = layout(
      order.length * row + 70,
      widest(labels) + 14,
      { title: { text: axisTitle(measure) }, fixedrange: true, ...(bars ? { rangemode: "tozero" } : {}) },
      { tickvals: y, ticktext: labels.map(plain), range: [order.length - 0.4, -0.6], fixedrange: true, showgrid: false, ...spike },
      "y unified",
    );
    style.dragmode = false;
    style.bargap = 0.2;
    if (bars) style.margin.r = 52; // figures behind the bars
    Plotly.react("clips-chart", traces, style, config);
    note(measure, rows, contenders.length ? contenders : methods);
  }

  function ranges(series, y) {
    const x = [];
    const at = [];
    y.forEach((place) => {
      const there = series.map((values) => values[place]).filter((value) => value !== null);
      x.push(Math.min(...there), Math.max(...there), null);
      at.push(place, place, null);
    });
    return { type: "scatter", mode: "lines", x, y: at, line: { width: 1, color: "#b4b8be" }, hoverinfo: "skip" };
  }

  function note(measure, rows, shown) {
    const leader = shown[0].name;
    const sorted = data.clips.length < 2 ? "" : measure.direction === "none"
      ? `Sorted by ${leader}.`
      : shown.length > 1
        ? `Sorted by ${leader}'s margin over the best other method: where it leads most on top, where it trails at the bottom.`
        : "Sorted from best to worst.";
    const gaps = rows.some((values) => values.some((value) => value === null));
    byId("clips-note").textContent = sorted + (gaps ? " What is missing or infinite is not drawn." : "");
  }

  // ---- by frame
  function frameClips() {
    const clip = byId("frames-clip");
    const before = clip.value;
    clip.replaceChildren();
    fill(clip, data.byFrame[byId("frames-measure").value].map((choice, i) => [i, choice.name]));
    if (clip.querySelector(`option[value="${before}"]`)) clip.value = before;
  }

  function drawFrames() {
    const key = byId("frames-measure").value;
    const measure = data.measures[key];
    const choice = data.byFrame[key][byId("frames-clip").value];
    const traces = methods
      .map((method, i) => ({ method, series: choice.series[i] }))
      .filter(({ method, series }) => !hidden.has(method.name) && series.x.length)
      .map(({ method, series }) => ({
        type: "scatter",
        mode: series.x.length > 1 ? "lines" : "markers",
        zorder: above(method),
        name: plain(method.name),
        x: series.x,
        y: series.y.map((value) => scaled(measure, value)),
        line: { color: method.color, dash: method.dash, width: 2 },
        marker: { color: method.color, symbol: method.symbol, size: 9 },
        hovertemplate: `%{y:.${measure.digits}f}<extra>${plain(method.name)}</extra>`,
      }));

    const style = layout(400, 64, { title: { text: "frame" }, showgrid: false, unifiedhovertitle: { text: "frame %{x}" }, ...spike }, { title: { text: axisTitle(measure) } }, "x unified");
    if (choice.ends !== null) {
      style.shapes = [{ type: "line", x0: choice.ends, x1: choice.ends, yref: "paper", y0: 0, y1: 1, line: { width: 1, dash: "dot" } }];
    }
    Plotly.react("frames-chart", traces, style, config);
    byId("frames-note").textContent =
      choice.ends === null ? "" : "The dotted line is where the shortest clip ends: beyond it the mean is over ever fewer clips. ";
  }

  const titles = (keys) => keys.map((key) => [key, data.measures[key].title]);
  if (byId("clips-chart")) {
    fill(byId("clips-measure"), titles(Object.keys(data.byClip)));
    byId("clips-measure").addEventListener("change", drawClips);
    redraws.push(drawClips);
  }
  if (byId("frames-chart")) {
    fill(byId("frames-measure"), titles(Object.keys(data.byFrame)));
    frameClips();
    byId("frames-measure").addEventListener("change", () => { frameClips(); drawFrames(); });
    byId("frames-clip").addEventListener("change", drawFrames);
    redraws.push(drawFrames);
  }
  base.legends(methods, hidden, redraws);
})();
