// Text of too little contrast with what it stands on, what is named by nothing, and buttons that are cut off: [what, contrast].
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].map((value, at) => (at < 3 ? value : value / 255));
  };
  const over = (top, under) => top.slice(0, 3).map((value, at) => value * top[3] + under[at] * (1 - top[3]));
  const light = (rgb) =>
    rgb.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4))
      .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (element) => {
    const stack = [];
    for (let one = element; one; one = one.parentElement) stack.push(rgba(getComputedStyle(one).backgroundColor));
    return stack.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  const shown = (element) => {
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return false;
    const box = element.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && getComputedStyle(element).clipPath === "none";
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let count = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || ["SCRIPT", "STYLE", "OPTION"].includes(element.tagName) || !shown(element)) continue;
    if (element.closest(".chip, .unseen")) continue; // white with a black edge; not to be seen
    count += 1;
    const under = ground(element);
    const [a, b] = [light(over(rgba(getComputedStyle(element).color), under)), light(under)].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) found.push([`${element.tagName} ${element.className} ${node.textContent.trim().slice(0, 40)}`, contrast]);
  }
  for (const element of document.querySelectorAll("button, input, a, video, [role=slider], select, textarea")) {
    if (!shown(element)) continue;
    const named = element.ariaLabel || element.innerText?.trim() || element.labels?.[0]?.innerText.trim() || element.title;
    if (!named && element.type !== "file") found.push([`no name: ${element.outerHTML.slice(0, 160)}`, 0]);
  }
  for (const element of document.querySelectorAll("button.lg, .moments button")) {
    if (shown(element) && (element.scrollHeight > element.clientHeight + 1 || element.scrollWidth > element.clientWidth + 1))
      found.push([`cut off: ${element.innerText.slice(0, 40)}`, 0]);
  }
  for (const element of document.querySelectorAll("img")) {
    if (shown(element) && !element.alt) found.push([`no alt: ${element.outerHTML.slice(0, 160)}`, 0]);
  }
  return [count, found, document.documentElement.scrollWidth - window.innerWidth];
}
