// The settings of an experiment: a slider and a number for each parameter. Where amounts have to add up, one of them takes the rest.
import { html } from "../core/html.js";
import { T } from "../core/texts.js";
import { number, withUnit } from "../core/format.js";

const valuesOf = (p) => p.values || (p.step ? Array.from({ length: Math.round((p.high - p.low) / p.step) + 1 }, (_, i) => p.low + i * p.step) : null);
const sumsOf = (experiment) => experiment.constraints.filter((one) => one.total !== undefined);

export function restOf(experiment) {
  const [sum] = sumsOf(experiment);
  if (!sum) return null;
  const of = experiment.parameters.filter((p) => sum.parameters.includes(p.name) && p.kind === "continuous");
  return { sum, name: of.reduce((a, b) => (b.high > a.high ? b : a)).name };
}

// In the middle, as far as sums let it.
export function firstSettings(experiment) {
  const settings = {};
  for (const p of experiment.parameters) {
    const values = valuesOf(p);
    settings[p.name] = values ? values[Math.floor((values.length - 1) / 2)] : p.low + (p.high - p.low) / 4;
  }
  return withRest(experiment, settings);
}

export function withRest(experiment, settings) {
  const rest = restOf(experiment);
  if (!rest) return settings;
  const others = rest.sum.parameters.filter((name) => name !== rest.name).reduce((sum, name) => sum + Number(settings[name]), 0);
  return { ...settings, [rest.name]: Number((rest.sum.total - others).toPrecision(12)) };
}

export function wrong(experiment, settings) {
  for (const p of experiment.parameters) {
    const x = settings[p.name];
    if (p.kind === "categorical") continue;
    const values = valuesOf(p);
    const [low, high] = values ? [values[0], values[values.length - 1]] : [p.low, p.high];
    if (typeof x !== "number" || !Number.isFinite(x)) return `${p.name}: a number is missing`;
    if (x < low - 1e-9 || x > high + 1e-9) return `${p.name} = ${withUnit(x, p.unit)}: it can be ${T.experiment.within(number(low), withUnit(high, p.unit))}`;
    if (p.smallest && x > 0 && x < p.smallest) return `${p.name}: 0, or ${withUnit(p.smallest, p.unit)} at least`;
  }
  return null;
}

export function Settings({ experiment, settings, onChange }) {
  const rest = restOf(experiment);
  const set = (name, value) => onChange(withRest(experiment, { ...settings, [name]: value }));
  return html`<div class="settings">${experiment.parameters.map((p) => {
    const id = `set-${p.name}`;
    const values = valuesOf(p);
    const x = settings[p.name];
    if (p.kind === "categorical") {
      return html`<div class="field" key=${p.name}><label for=${id}>${p.description || p.name}</label>
        <select id=${id} value=${x} onChange=${(e) => set(p.name, e.target.value)}>${p.values.map((v) => html`<option>${v}</option>`)}</select></div>`;
    }
    const isRest = rest?.name === p.name;
    const [low, high] = values ? [values[0], values[values.length - 1]] : [p.low, p.high];
    const step = values ? (values.length > 1 ? (high - low) / (values.length - 1) : 1) : (high - low) / 200;
    const nearest = (v) => (values ? values.reduce((a, b) => (Math.abs(b - v) < Math.abs(a - v) ? b : a)) : Number(v.toPrecision(6)));
    return html`<div class="field" key=${p.name}><label for=${id}>${p.description || p.name}</label>
      <div class="slide"><input type="range" tabindex="-1" aria-hidden="true" min=${low} max=${high} step=${step} value=${x} disabled=${isRest} onInput=${(e) => set(p.name, nearest(Number(e.target.value)))} />
      <input id=${id} type="number" inputmode="decimal" step="any" min=${low} max=${high} value=${x} readonly=${isRest} aria-describedby=${`${id}-hint`}
        onChange=${(e) => set(p.name, e.target.value === "" ? null : Number(e.target.value))} /><span class="unit">${p.unit === "1" ? "" : p.unit}</span></div>
      <small id=${`${id}-hint`}>${isRest ? T.experiment.rest(p.name, withUnit(rest.sum.total, p.unit)) : T.experiment.within(number(low), withUnit(high, p.unit))}</small></div>`;
  })}</div>`;
}

export const recipe = (experiment, settings) =>
  experiment.parameters.filter((p) => settings && p.name in settings).map((p) => `${p.name} ${withUnit(settings[p.name], p.unit)}`).join(", ");
