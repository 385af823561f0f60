// Points in a plane: colors by a* and b*, labels by two settings, outcomes of a front. Shapes tell labels apart, not only colors.
import { html } from "../core/html.js";
import { Frame, useWidth } from "./frame.js";
import { mark, markOf } from "./best.js";

export function Plane({ points, target, x, y, xLabel, yLabel, label, groups = [], height = 280 }) {
  const [of, width] = useWidth();
  const all = [...points, ...(target ? [target] : [])];
  if (!points.length) return html`<div ref=${of}></div>`;
  const span = (name) => {
    const found = all.map((p) => p[name]);
    const [low, high] = [Math.min(...found), Math.max(...found)];
    const room = (high - low || 1) * 0.08;
    return [low - room, high + room];
  };
  return html`<div ref=${of}><${Frame} width=${width} height=${height} x=${x || span("x")} y=${y || span("y")} xLabel=${xLabel} yLabel=${yLabel} label=${label}>${(px, py) => html`
    ${points.length <= 60 && html`<path class="way" d=${points.map((p, i) => `${i ? "L" : "M"}${px(p.x)} ${py(p.y)}`).join("")} visibility=${groups.length ? "hidden" : "visible"} />`}
    ${points.map((p) => html`<g key=${p.key} class=${groups.length ? `series s${Math.max(0, groups.indexOf(p.group)) % 6}` : ""}><title>${p.title}</title>${mark(groups.length ? markOf(Math.max(0, groups.indexOf(p.group))) : "circle", px(p.x), py(p.y), 5, { class: "dot", fill: p.hex })}</g>`)}
    ${target && html`<g class="target"><title>${target.title}</title><circle cx=${px(target.x)} cy=${py(target.y)} r="9" /><path d=${`M${px(target.x) - 13} ${py(target.y)}h26M${px(target.x)} ${py(target.y) - 13}v26`} /></g>`}`}<//>
    ${groups.length > 0 && html`<ul class="legend">${groups.map((name, k) => html`<li class=${`series s${k % 6}`}><svg width="16" height="14" aria-hidden="true">${mark(markOf(k), 8, 7, 5, { class: "dot" })}</svg> ${name}</li>`)}</ul>`}</div>`;
}
