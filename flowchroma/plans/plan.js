"use strict";
(() => {
  const { data, config, spike, layout } = base;
  const { before, after } = data.curves;

  const line = (curve, name, color, dash) => ({
    type: "scatter",
    mode: "lines",
    ...curve,
    line: { color, dash, width: 2 },
    hovertemplate: `%{y:.1f}<extra>${name}</extra>`,
  });
  const stills = {
    type: "scatter",
    mode: "markers",
    x: data.stills,
    y: data.stills.map(() => 0),
    marker: { color: "#d55e00", size: 10 },
    cliponaxis: false,
    hovertemplate: "frame %{x}<extra>still</extra>",
  };
  const style = layout(
    360,
    56,
    { title: { text: "frame" }, showgrid: false, ...spike },
    { title: { text: "CIELAB units" }, rangemode: "tozero" },
    "x",
  );
  style.shapes = data.shots.slice(1).map((start) => ({
    type: "line", x0: start - 0.5, x1: start - 0.5, yref: "paper", y0: 0, y1: 1, line: { width: 1, dash: "dot" },
  }));
  Plotly.react("error-chart", [line(before, "without", "#8a8a8a", "dash"), line(after, "with", "#0072b2", "solid"), stills], style, config);
})();
