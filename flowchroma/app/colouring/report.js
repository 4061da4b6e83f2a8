"use strict";
(() => {
  const { data, byId } = base;
  const curve = byId("curve");
  const { left, right } = curve.dataset;

  curve.addEventListener("pointermove", (event) => {
    const box = curve.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * curve.viewBox.baseVal.width;
    const part = (at - left) / (right - left);
    const frame = Math.min(data.frames - 1, Math.max(0, Math.floor(part * data.frames)));
    const point = data.x.findLastIndex((x) => x <= frame);
    const error = data.errors[point];
    const shown = error === null ? "lost" : error.toFixed(1);
    byId("readout").textContent = `frame ${data.start + frame}: ${shown}`;
  });
})();
