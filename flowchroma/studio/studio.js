"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const films = () => document.querySelector(".films");

  // The gray film is the coloured one without its colour, by a filter: drawn from it, it cannot run ahead or behind.
  const draw = (video) => {
    const canvas = byId("film-gray");
    if (!canvas || !video.videoWidth) return;
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    const { rate, frames } = films().dataset;
    const frame = Math.min(frames - 1, Math.floor(video.currentTime * rate + 0.01));
    byId("film-moment").value = frame;
    byId("film-at").textContent = `frame ${frame}`;
    byId("film-now").setAttribute("transform", `translate(${((frame + 0.5) / frames) * 1000} 0)`);
  };

  const follow = (video) => {
    draw(video);
    if (!video.paused && !video.ended) video.requestVideoFrameCallback(() => follow(video));
  };

  const seek = (seconds) => {
    byId("film-video").currentTime = seconds;
  };
  const seekFrame = (frame) => seek((frame + 0.5) / films().dataset.rate);

  for (const name of ["loadeddata", "seeked", "play"]) {
    document.addEventListener(name, (event) => event.target.id === "film-video" && follow(event.target), true);
  }
  document.addEventListener("error", (event) => {
    if (event.target.id !== "film-video") return;
    event.target.nextElementSibling.textContent = "This browser cannot play the film: download it below.";
  }, true);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-seek]");
    if (button) seek(Number(button.dataset.seek));
    const curve = event.target.closest("#film-curve");
    if (!curve) return;
    const box = curve.getBoundingClientRect();
    const frames = Number(films().dataset.frames);
    seekFrame(Math.min(frames - 1, Math.floor(((event.clientX - box.left) / box.width) * frames)));
  });
  document.addEventListener("input", (event) => {
    if (event.target.id === "film-moment") seekFrame(Number(event.target.value));
  });

  // What Gradio's parts lack for keyboards and screen readers.
  const STEPS = { ArrowLeft: -0.05, ArrowRight: 0.05, Home: -1, End: 1 };

  const slide = (handle, part) => {
    const box = handle.closest(".wrap").getBoundingClientRect();
    const grip = handle.querySelector(".inner").getBoundingClientRect();
    const from = grip.left + grip.width / 2;
    const to = Math.min(box.right, Math.max(box.left, from + part * box.width));
    const at = (x) => ({ bubbles: true, cancelable: true, view: window, button: 0, clientX: x, clientY: grip.top + 5 });
    handle.querySelector(".inner").dispatchEvent(new MouseEvent("mousedown", at(from)));
    window.dispatchEvent(new MouseEvent("mousemove", at(to)));
    window.dispatchEvent(new MouseEvent("mouseup", at(to)));
    handle.setAttribute("aria-valuenow", Math.round(((to - box.left) / box.width) * 100));
  };

  document.addEventListener("keydown", (event) => {
    const handle = event.target.closest?.("#preview-both [data-testid=slider]");
    if (!handle || !(event.key in STEPS)) return;
    event.preventDefault();
    slide(handle, STEPS[event.key]);
  });

  const set = (element, attributes) => {
    for (const [name, value] of Object.entries(attributes)) {
      if (element && element.getAttribute(name) !== value) element.setAttribute(name, value);
    }
  };

  const name = () => {
    const handle = document.querySelector("#preview-both [data-testid=slider]");
    set(handle, { role: "slider", tabindex: "0", "aria-label": "How much is shown in gray", "aria-valuemin": "0", "aria-valuemax": "100" });
    if (handle && !handle.hasAttribute("aria-valuenow")) set(handle, { "aria-valuenow": "50" });
    const [gray, coloured] = document.querySelectorAll("#preview-both img");
    set(gray, { alt: "The frame in gray" });
    set(coloured, { alt: "The frame in colour" });
    for (const [id, alt] of [["still-picture", "The chosen still"], ["add-picture", "The frame at the slider"]]) {
      set(document.querySelector(`#${id} img`), { alt });
      set(document.querySelector(`#${id} .image-container > button`), { "aria-label": alt, tabindex: "-1" });
    }
    for (const item of document.querySelectorAll(".strip .thumbnail-item")) {
      const caption = item.querySelector(".caption-label")?.textContent;
      if (caption) set(item, { "aria-label": caption, "aria-pressed": String(item.classList.contains("selected")) });
    }
    for (const button of document.querySelectorAll(".gr-accordion > .label-wrap")) {
      const open = button.parentElement.querySelector("[data-testid=accordion-content]")?.style.display !== "none";
      set(button, { "aria-expanded": String(open) });
    }
    for (const input of document.querySelectorAll("input[type=range][name=cowbell]")) {
      const label = input.closest(".block").querySelector("[data-testid=block-info]")?.textContent;
      if (label) set(input, { "aria-label": label });
    }
  };
  new MutationObserver(name).observe(document.documentElement, { childList: true, subtree: true, attributeFilter: ["class", "style"] });
})();
