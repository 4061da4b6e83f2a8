"use strict";
// What every page shares: figures, names, charts' layout, legends, sortable tables, enlarged stills.
const base = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const config = { responsive: true, displayModeBar: false };

  const byId = (id) => document.getElementById(id);
  // Plotly reads names as markup
  const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const shorten = (text, narrow = 14, wide = 28) => {
    const room = innerWidth < 640 ? narrow : wide;
    return text.length > room ? text.slice(0, room - 1) + "…" : text;
  };
  const widest = (texts) => {
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = `13px ${getComputedStyle(document.body).fontFamily}`;
    return Math.max(...texts.map((text) => pen.measureText(text).width));
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

  function sortable() {
    const table = document.querySelector("table.scores");
    if (!table) return;
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
      const row = (other) => other.dataset.row ?? "";
      shown = [...still.closest(".strip").querySelectorAll(".still")].filter((other) => row(other) === row(still));
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

  // Series on and off, in every chart at once
  function legends(series, hidden, redraws) {
    const refresh = () => {
      for (const button of document.querySelectorAll(".legend button")) {
        button.setAttribute("aria-pressed", String(!hidden.has(button.dataset.method)));
      }
      for (const redraw of redraws) redraw();
    };
    for (const legend of series.length < 2 ? [] : document.querySelectorAll(".legend")) {
      for (const { name, color, symbol } of series) {
        const button = document.createElement("button");
        const chip = document.createElement("span");
        chip.className = "chip";
        chip.dataset.symbol = symbol;
        chip.style.setProperty("--method", color);
        button.type = "button";
        button.dataset.method = name;
        button.append(chip, name);
        button.addEventListener("click", () => {
          if (!hidden.delete(name)) hidden.add(name);
          refresh();
        });
        legend.append(button);
      }
    }
    refresh();
  }

  sortable();
  viewer();

  // Charts do not shrink to the sheet by themselves.
  const charts = () => document.querySelectorAll(".js-plotly-plot");
  addEventListener("beforeprint", () => charts().forEach((chart) => Plotly.relayout(chart, { width: 680 })));
  addEventListener("afterprint", () => charts().forEach((chart) => Plotly.relayout(chart, { width: null, autosize: true })));

  return { data, config, byId, plain, shorten, widest, fill, spike, layout, legends };
})();
