// Small parts that all views share.
import { html, signal, useEffect, useState } from "../core/html.js";
import { T } from "../core/texts.js";
import { Unreachable } from "../core/api.js";

const said = signal([]);
let count = 0;

// Refusals stay until they are read; successes vanish.
export function refuse(error) {
  if (error?.name === "AbortError") return;
  const text = error instanceof Unreachable ? `${error.message}; it was not done` : error.message || String(error);
  said.value = [...said.value.filter((one) => one.text !== text), { id: ++count, text, isError: true }];
}

export function tell(text) {
  const id = ++count;
  said.value = [...said.value, { id, text, isError: false }];
  setTimeout(() => { said.value = said.value.filter((one) => one.id !== id); }, 5000);
}

export function Said() {
  const drop = (id) => { said.value = said.value.filter((one) => one.id !== id); };
  return html`<div class="said">
    <div role="alert">${said.value.filter((one) => one.isError).map((one) => html`<p class="refusal" key=${one.id}><span>✗ ${one.text}</span>
      <button type="button" onClick=${() => drop(one.id)}>${T.close}</button></p>`)}</div>
    <div role="status">${said.value.filter((one) => !one.isError).map((one) => html`<p class="success" key=${one.id}>✓ ${one.text}</p>`)}</div>
  </div>`;
}

// A button that says why it is grey, and that is pressed once.
export function Button({ onPress, why, kind = "", children, label }) {
  const [isBusy, setBusy] = useState(false);
  const press = async () => {
    if (why || isBusy) return;
    setBusy(true);
    try { await onPress(); } catch (error) { refuse(error); } finally { setBusy(false); }
  };
  return html`<span class="action"><button type="button" class=${kind} aria-disabled=${why || isBusy ? "true" : "false"} aria-label=${label} onClick=${press}>${children}${isBusy ? " …" : ""}</button>${
    why && html`<small class="why">${why}</small>`}</span>`;
}

export function Swatch({ hex, label, big }) {
  if (!hex) return null;
  return html`<svg class=${`swatch ${big ? "big" : ""}`} viewBox="0 0 10 10" preserveAspectRatio="none" role="img" aria-label=${`${label || ""} ${hex}`}><rect width="10" height="10" fill=${hex} /></svg>`;
}

export const State = ({ state }) => html`<span class=${`state ${state.replace(" ", "-")}`}>${T.states[state] || state}</span>`;

export function Card({ head, children, kind = "" }) {
  return html`<section class=${`card ${kind}`}>${head && html`<h2>${head}</h2>`}${children}</section>`;
}

export function Table({ head, rows, label }) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${label}><table><thead><tr>${head.map((one) => (typeof one === "string" && one ? html`<th scope="col">${one}</th>` : html`<td>${one}</td>`))}</tr></thead>
    <tbody>${rows.map((row) => html`<tr key=${row.key}>${row.cells.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody></table></div>`;
}

export function Field({ label, hint, children, id }) {
  return html`<div class="field"><label for=${id}>${label}</label>${children}${hint && html`<small id=${`${id}-hint`}>${hint}</small>`}</div>`;
}

// Loads something when it is shown, and shows what is said when it cannot be.
export function useLoaded(load, ...when) {
  const [found, setFound] = useState(null);
  const again = async () => { try { setFound(await load()); } catch (error) { refuse(error); } };
  useEffect(() => { again(); }, when);
  return [found, again, setFound];
}

// What somebody has typed: kept over a reload, until it has been sent.
export function draft(name, first) {
  const key = `frugaltwin-draft-${name}`;
  let kept = null;
  try { kept = JSON.parse(sessionStorage.getItem(key)); } catch { /* nothing is kept */ }
  const held = signal(kept ?? first);
  return {
    get value() { return held.value; },
    set(value) {
      held.value = value;
      try { sessionStorage.setItem(key, JSON.stringify(value)); } catch { /* it lasts as long as the page */ }
    },
    clear() {
      held.value = first;
      try { sessionStorage.removeItem(key); } catch { /* the same */ }
    },
  };
}

export function download(name, text, kind) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: kind }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
