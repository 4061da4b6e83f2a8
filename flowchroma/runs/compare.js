"use strict";
(() => {
  const { data, config, byId, plain, shorten, widest, fill, spike, layout } = base;
  const ideas = data.ideas;
  const hidden = new Set();
  const redraws = [];
  const title = (metric) => plain(metric + (metric === data.metric && data.unit ? ` (${data.unit})` : ""));

  // ---- which idea won
  function drawIdeas() {
    const shown = ideas.map((idea, i) => ({ ...idea, ...data.scores[i] })).filter((idea) => idea.mean !== null && !hidden.has(idea.name));
    const labels = shown.map((idea) => shorten(idea.name, 22, 60));
    const means = shown.map((idea, y) => ({
      type: "scatter",
      mode: "markers",
      x: [idea.mean],
      y: [y],
      marker: { color: idea.color, symbol: "line-ns", size: 20, line: { color: idea.color, width: 3 } },
      error_x: idea.margin === null ? {} : { type: "data", array: [idea.margin], arrayminus: [0], color: idea.color, thickness: 1.5, width: 6 },
      hovertemplate: `mean %{x:.3f}${idea.spread === null ? "" : ` ± ${idea.spread.toFixed(3)}`}<extra>${plain(idea.name)}</extra>`,
    }));
    const dots = shown.map((idea, y) => ({
      type: "scatter",
      mode: "markers",
      x: idea.values,
      y: idea.values.map(() => y),
      text: idea.runs.map(plain),
      marker: { color: idea.color, symbol: idea.symbol, size: 9, opacity: 0.6 },
      hovertemplate: "%{x:.3f}<extra>%{text}</extra>",
    }));
    const style = layout(
      shown.length * 44 + 70,
      widest(labels) + 18,
      { title: { text: title(data.metric) }, fixedrange: true },
      { tickvals: shown.map((_, y) => y), ticktext: labels.map(plain), range: [shown.length - 0.4, -0.6], fixedrange: true, showgrid: false },
      "closest",
    );
    style.dragmode = false;
    if (shown.length > 1) {
      style.shapes = [{ type: "line", x0: shown[0].mean, x1: shown[0].mean, yref: "paper", y0: 0, y1: 1, line: { width: 1, dash: "dot" } }];
    }
    Plotly.react("ideas-chart", [...means, ...dots], style, config);
  }

  // ---- curves
  // The mean of the points before, weighed less the older they are, without the pull of the start.
  function smoothed(values, weight) {
    let sum = 0;
    let mass = 0;
    return values.map((value) => {
      sum = weight * sum + (1 - weight) * value;
      mass = weight * mass + (1 - weight);
      return sum / mass;
    });
  }

  function mean(series) {
    const shared = series[0].x.filter((step) => series.every((of) => of.x.includes(step)));
    const at = (of, step) => of.y[of.x.indexOf(step)];
    return { x: shared, y: shared.map((step) => series.reduce((sum, of) => sum + at(of, step), 0) / series.length) };
  }

  function drawCurves() {
    const metric = byId("curves-metric").value;
    const weight = Number(byId("curves-smoothing").value);
    const traces = [];
    ideas.forEach((idea, i) => {
      if (hidden.has(idea.name)) return;
      const runs = data.curves[metric].filter((of) => of.idea === i).map((of) => ({ ...of, y: smoothed(of.y, weight) }));
      const line = { color: idea.color, dash: idea.dash };
      const drawn = (of, name, more) => traces.push({
        type: "scatter",
        mode: of.x.length > 1 && of.x.length <= 20 ? "lines+markers" : of.x.length > 1 ? "lines" : "markers",
        x: of.x,
        y: of.y,
        marker: { color: idea.color, symbol: idea.symbol, size: 7 },
        hovertemplate: `%{y:.4g}<extra>${plain(name)}</extra>`,
        ...more,
      });
      for (const of of runs) drawn(of, of.run, { line: { ...line, width: runs.length > 1 ? 1 : 2 }, opacity: runs.length > 1 ? 0.55 : 1 });
      if (runs.length > 1) drawn(mean(runs), `${idea.name}, mean`, { line: { ...line, width: 3 }, mode: "lines" });
    });
    const style = layout(420, 64, { title: { text: "step" }, showgrid: false, ...spike }, { title: { text: title(metric) } }, "closest");
    Plotly.react("curves-chart", traces, style, config);
  }

  if (byId("ideas-chart")) redraws.push(drawIdeas);
  if (byId("curves-chart")) {
    fill(byId("curves-metric"), Object.keys(data.curves).map((metric) => [metric, metric]));
    fill(byId("curves-smoothing"), [["0", "none"], ["0.8", "some"], ["0.97", "much"]]);
    byId("curves-metric").addEventListener("change", drawCurves);
    byId("curves-smoothing").addEventListener("change", drawCurves);
    redraws.push(drawCurves);
  }
  const seen = new Set(Object.values(data.curves).flattened().map((of) => of.idea));
  base.legends(ideas.filter((_, i) => seen.has(i)), hidden, redraws);
})();
