"use strict";
// The page is whole without this: it only shows the value under the pointer in a chart.
for (const svg of document.querySelectorAll("svg.chart")) {
  const curve = svg.querySelector("path.line");
  const output = svg.closest("figure").querySelector("output");
  if (!curve || !output) continue;
  const [x0, x1, px0, px1] = svg.dataset.x.split(",").map(Number);
  const y = svg.dataset.y.split(",");
  const [y0, y1, py0, py1] = y.slice(0, 4).map(Number);
  const points = curve.getAttribute("d").slice(1).split(/[ML]/).map((pair) => pair.split(" ").map(Number));
  const show = (value) => (Math.abs(value) >= 1e-3 || value === 0 ? value.toPrecision(3) : value.toExponential(2));
  const value = (pixel) => {
    const share = (pixel - py0) / (py1 - py0);
    return y[4] === "log" ? y0 * (y1 / y0) ** share : y0 + share * (y1 - y0);
  };
  const verdicts = new Map();
  for (const drawn of svg.querySelectorAll("[data-verdict]"))
    verdicts.set(drawn.getAttribute("d").slice(1).split(" ")[0], drawn.dataset.verdict);
  const mark = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  mark.setAttribute("class", "pointer");
  mark.setAttribute("r", "4");
  svg.append(mark);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    const near = points.reduce((a, b) => (Math.abs(b[0] - at) < Math.abs(a[0] - at) ? b : a));
    mark.setAttribute("cx", near[0]);
    mark.setAttribute("cy", near[1]);
    mark.classList.add("on");
    const step = Math.round(x0 + ((near[0] - px0) / (px1 - px0)) * (x1 - x0));
    const verdict = verdicts.get(near[0].toFixed(1));
    output.textContent = `step ${step}: ${show(value(near[1]))}` + (verdict ? `, ${verdict}` : "");
  });
  svg.addEventListener("pointerleave", () => {
    mark.classList.remove("on");
    output.textContent = "";
  });
}
