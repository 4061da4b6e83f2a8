"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const methods = data.methods;
  const contenders = methods.filter((method) => !method.bound);
  const hidden = new Set(contenders.length ? methods.filter((method) => method.bound).map((method) => method.name) : []);
  const BARS = 60; // more than these in one chart are drawn as dots
  const config = { responsive: true, displayModeBar: false };
  const redraws = [];

  const byId = (id) => document.getElementById(id);
  // Plotly reads names as markup
  const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const shorten = (text) => {
    const room = innerWidth < 640 ? 14 : 28;
    return text.length > room ? text.slice(0, room - 1) + "…" : text;
  };
  const widest = (texts) => {
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = `13px ${getComputedStyle(document.body).fontFamily}`;
    return Math.max(...texts.map((text) => pen.measureText(text).width));
  };
  const above = (method) => methods.length - methods.indexOf(method); // the best lies on top
  const scaled = (measure, value) => (value === null || value === undefined ? null : value * measure.scale);
  const axisTitle = (measure) => plain(measure.title + (measure.unit ? ` (${measure.unit})` : ""));
  // Infinity: no figure takes part last
  const rank = (measure, value) => {
    if (value === null || value === undefined) return Infinity;
    if (measure.direction === "closest to 1") return Math.abs(value - 1);
    return measure.direction === "lower" ? value : -value;
  };

  function fill(select, options) {
    for (const [value, title] of options) select.append(new Option(title, value));
    select.parentElement.hidden = options.length < 2;
  }

  const spike = { spikethickness: 1, spikedash: "solid", spikecolor: "#9aa0a8" };

  function layout(height, left, x, y, hovermode) {
    return {
      height,
      margin: { l: left, r: 8, t: 8, b: 48 },
      paper_bgcolor: "transparent",
      plot_bgcolor: "transparent",
      font: { family: getComputedStyle(document.body).fontFamily, size: 13 },
      showlegend: false,
      hovermode,
      dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
      xaxis: { zeroline: false, ...x },
      yaxis: { zeroline: false, ticks: "outside", ticklen: 8, tickcolor: "transparent", ...y },
    };
  }

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

  // ---- methods on and off, in every chart at once
  function legends() {
    if (methods.length < 2) return;
    for (const legend of document.querySelectorAll(".legend")) {
      for (const method of methods) {
        const button = document.createElement("button");
        const chip = document.createElement("span");
        chip.className = "chip";
        chip.dataset.symbol = method.symbol;
        chip.style.setProperty("--method", method.color);
        button.type = "button";
        button.dataset.method = method.name;
        button.append(chip, method.name);
        button.addEventListener("click", () => {
          if (!hidden.delete(method.name)) hidden.add(method.name);
          refresh();
        });
        legend.append(button);
      }
    }
  }

  function refresh() {
    for (const button of document.querySelectorAll(".legend button")) {
      button.setAttribute("aria-pressed", String(!hidden.has(button.dataset.method)));
    }
    for (const redraw of redraws) redraw();
  }

  // ---- table
  function sortable() {
    const table = document.querySelector("table.scores");
    const order = (row, column) => {
      const text = row.cells[column].dataset.order;
      return text === "" ? Infinity : Number(text.replace("inf", "Infinity"));
    };
    table.querySelectorAll("thead button").forEach((button) => {
      const head = button.parentElement;
      button.addEventListener("click", () => {
        const back = head.getAttribute("aria-sort") === "descending"; // best first, then worst first
        table.querySelectorAll("[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", back ? "ascending" : "descending");
        const rows = [...table.tBodies[0].rows];
        const key = (row) => {
          const value = order(row, head.cellIndex);
          return value === Infinity ? value : back ? -value : value;
        };
        const competing = rows.filter((row) => !row.classList.contains("bound"));
        const compare = (a, b) => (key(a) === key(b) ? 0 : key(a) - key(b));
        table.tBodies[0].append(...competing.sort(compare), ...rows.filter((row) => !competing.includes(row)));
      });
    });
  }

  // ---- stills
  function viewer() {
    const dialog = byId("viewer");
    const image = dialog.querySelector("img");
    let shown = [];
    let at = 0;
    const show = (step) => {
      at = (at + step + shown.length) % shown.length;
      image.src = shown[at].querySelector("img").src;
      image.alt = shown[at].dataset.caption;
      dialog.querySelector("span").textContent = shown[at].dataset.caption;
    };
    document.addEventListener("click", (event) => {
      const still = event.target.closest(".still");
      if (!still) return;
      const errors = (other) => other.dataset.caption.endsWith(", error");
      shown = [...still.closest(".strip").querySelectorAll(".still")].filter((other) => errors(other) === errors(still));
      at = shown.indexOf(still);
      show(0);
      dialog.showModal();
    });
    dialog.addEventListener("click", (event) => {
      if (event.target.dataset.step) show(Number(event.target.dataset.step));
      else if (event.target === dialog || event.target === image) dialog.close();
    });
    dialog.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft" || event.key === "ArrowRight") show(event.key === "ArrowLeft" ? -1 : 1);
    });
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
  legends();
  sortable();
  viewer();
  refresh();

  // Charts do not shrink to the sheet by themselves.
  const charts = () => document.querySelectorAll(".js-plotly-plot");
  addEventListener("beforeprint", () => charts().forEach((chart) => Plotly.relayout(chart, { width: 680 })));
  addEventListener("afterprint", () => charts().forEach((chart) => Plotly.relayout(chart, { width: null, autosize: true })));
})();
