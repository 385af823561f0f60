// Scores of trials, and the best so far as a step line, against experiments, time or money.
import { html } from "../core/html.js";
import { Frame, useWidth } from "./frame.js";
import { number } from "../core/format.js";

const DASHES = ["", "6 3", "2 3", "8 3 2 3", "1 4", "10 5"];
const MARKS = ["circle", "square", "triangle", "diamond", "cross", "ring"];

export function mark(kind, x, y, r = 4, props = {}) {
  const shapes = {
    circle: html`<circle cx=${x} cy=${y} r=${r} ...${props} />`,
    ring: html`<circle cx=${x} cy=${y} r=${r} ...${props} fill="none" />`,
    square: html`<rect x=${x - r} y=${y - r} width=${2 * r} height=${2 * r} ...${props} />`,
    triangle: html`<path d=${`M${x} ${y - r * 1.2}l${r * 1.2} ${2 * r}h${-2.4 * r}z`} ...${props} />`,
    diamond: html`<path d=${`M${x} ${y - r * 1.3}l${r * 1.3} ${r * 1.3}l${-r * 1.3} ${r * 1.3}l${-r * 1.3} ${-r * 1.3}z`} ...${props} />`,
    cross: html`<path d=${`M${x - r} ${y - r}l${2 * r} ${2 * r}m0 ${-2 * r}l${-2 * r} ${2 * r}`} ...${props} />`,
  };
  return shapes[kind];
}
export const markOf = (k) => MARKS[k % MARKS.length];

// Each of `series` has a name and points {at, score}; smaller is better unless `isUp`.
export function Best({ series, axis, unit, isUp }) {
  const [of, width] = useWidth();
  const drawn = series.map((one) => ({ ...one, points: one.points.filter((p) => typeof p.score === "number") })).filter((one) => one.points.length);
  if (!drawn.length) return html`<div ref=${of}></div>`;
  const scores = drawn.flatMap((one) => one.points.map((p) => p.score));
  const low = Math.min(...scores, isUp ? Infinity : 0);
  const high = Math.max(...scores) + (Math.max(...scores) === low ? 1 : 0);
  const far = Math.max(...drawn.flatMap((one) => one.points.map((p) => p.at)));
  const near = Math.min(0, ...drawn.flatMap((one) => one.points.map((p) => p.at)));
  const label = drawn.map((one) => {
    const best = one.points.map((p) => p.score).reduce((a, b) => (isUp ? Math.max(a, b) : Math.min(a, b)));
    return `${one.name}: best ${number(best)} ${unit} after ${one.points.length}`;
  }).join("; ");
  return html`<div ref=${of}><${Frame} width=${width} x=${[near, far]} y=${[low, high]} xLabel=${axis} yLabel=${unit || "score"} label=${label}>${(px, py) =>
    drawn.map((one, k) => {
      let best = null;
      const steps = one.points.map((p) => {
        const before = best;
        best = best === null ? p.score : isUp ? Math.max(best, p.score) : Math.min(best, p.score);
        return `${before === null ? "M" : `H${px(p.at)}V`}${before === null ? `${px(p.at)} ${py(best)}` : py(best)}`;
      });
      return html`<g class=${`series s${k}`} key=${one.name}>${one.points.length <= 500 && one.points.map((p) => mark(markOf(k), px(p.at), py(p.score), 3.5, { class: "dot", fill: p.hex }))}
        <path class="line" d=${`${steps.join("")}H${px(far)}`} stroke-dasharray=${DASHES[k % 6]} /></g>`;
    })}<//>
    ${drawn.length > 1 && html`<ul class="legend">${drawn.map((one, k) => html`<li class=${`series s${k}`}><svg width="34" height="12" aria-hidden="true"><path class="line" d="M0 6H34" stroke-dasharray=${DASHES[k % 6]} />${mark(markOf(k), 17, 6, 3.5, { class: "dot" })}</svg> ${one.name}</li>`)}</ul>`}</div>`;
}
