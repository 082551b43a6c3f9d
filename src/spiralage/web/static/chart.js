// The distribution over the ages 0…100 as SVG: bars, the interval shaded, the mean and the threshold as lines.

import { make, svg } from "./dom.js";
import { sentence } from "./words.js";

const WIDTH = 340;
const HEIGHT = 150;
const LEFT = 12;
const STEP = 3.15;
const TOP = 18;
const BASE = 126;
const x = (age) => LEFT + STEP * age;

/** {element, mark(year)}: the chart of a face, and a function that moves its threshold. */
export function chart(face) {
  const [low, high] = face.interval;
  const peak = Math.max(...face.distribution);
  const bars = face.distribution.map((p, age) => {
    const height = ((BASE - TOP) * p) / peak;
    return svg("rect", { class: "bar", x: x(age) - 1.2, y: BASE - height, width: 2.4, height });
  });
  const ticks = Array.from({ length: 11 }, (_, i) => svg("text", { x: x(10 * i), y: BASE + 15, "text-anchor": "middle" }, `${10 * i}`));
  const line = svg("line", { class: "threshold-line", y1: TOP - 6, y2: BASE });
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `How likely each age is. ${sentence(face)}`, class: "chart" },
    svg("rect", { class: "interval", x: x(low), y: TOP - 6, width: x(high) - x(low), height: BASE - TOP + 6 }),
    ...bars,
    svg("line", { class: "axis", x1: x(0), x2: x(100), y1: BASE, y2: BASE }),
    svg("line", { class: "mean", x1: x(face.age), x2: x(face.age), y1: TOP - 6, y2: BASE }),
    svg("text", { class: "mean-text", x: x(face.age), y: TOP - 9, "text-anchor": "middle" }, `${Math.round(face.age)}`),
    line,
    ...ticks);
  const caption = make("figcaption", {}, "How likely each age is, in years. Shaded: nine of ten cases; line: the estimate; dashed: your threshold.");
  const mark = (year) => {
    line.setAttribute("x1", x(year - 0.5));
    line.setAttribute("x2", x(year - 0.5));
    bars.forEach((bar, age) => bar.classList.toggle("younger", age < year));
  };
  return { element: make("figure", { class: "distribution" }, picture, caption), mark };
}
