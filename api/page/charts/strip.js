// The colors that were measured, in order, above the target.
import { html } from "../core/html.js";
import { number } from "../core/format.js";

export function Strip({ points, target, unit, chosen, onChoose }) {
  return html`<ol class="strip">${points.map((p) => html`<li key=${p.trial}><button type="button" class=${p.trial === chosen ? "chosen" : ""} onClick=${() => onChoose?.(p.trial)}
    aria-label=${`experiment ${p.trial}, ${p.hex || "no color"}, ${p.score === null ? "no score" : `${number(p.score)} ${unit}`}`}>
    <svg class="pair" viewBox="0 0 10 10" preserveAspectRatio="none" aria-hidden="true"><rect width="10" height="10" fill=${p.hex || "none"} />${target && html`<rect y="7" width="10" height="3" fill=${target} />`}</svg>
    <span>${p.trial}</span><small>${number(p.score, 2)}</small></button></li>`)}</ol>`;
}
