// What a sensor read in each channel, as bars, beside what the model expected.
import { html } from "../core/html.js";
import { number } from "../core/format.js";

export function Channels({ outcomes, names, expected }) {
  const of = names.filter((name) => typeof outcomes[name] === "number");
  const most = Math.max(...of.map((name) => Math.abs(outcomes[name])), 1e-12);
  return html`<table class="channels"><tbody>${of.map((name) => html`<tr key=${name}><th scope="row">${name}</th><td class="bar"><svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
    <rect class="fill" width=${(100 * Math.abs(outcomes[name])) / most} height="10" />${expected?.[name] !== undefined && html`<rect class="expected" x=${(100 * Math.abs(expected[name])) / most} width="1.2" height="10" />`}</svg></td><td>${number(outcomes[name])}</td></tr>`)}</tbody></table>`;
}
