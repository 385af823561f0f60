// What needs me now, what is left to me, and where to begin.
import { html, useEffect } from "../core/html.js";
import { get } from "../core/api.js";
import { listen, soon } from "../core/live.js";
import { me, rigs } from "../core/state.js";
import { day, number, seconds } from "../core/format.js";
import { T } from "../core/texts.js";
import { Card, State, useLoaded } from "../parts/ui.js";

const shown = { seconds, runs: (x) => number(x), rig_runs: (x) => number(x), money: (x) => `${number(x)} USD`, volume: (x) => `${number(x)} mL` };

export function Left({ budget }) {
  const kinds = Object.keys(T.amounts).filter((kind) => budget.left[kind] !== null && budget.left[kind] !== undefined);
  if (!kinds.length) return html`<p>${T.home.unlimited}</p>`;
  return html`<dl class="amounts">${kinds.map((kind) => html`<div><dt>${T.amounts[kind]}</dt><dd>${shown[kind](budget.left[kind])}</dd></div>`)}</dl>`;
}

export default function Home() {
  const [found, again] = useLoaded(async () => ({ campaigns: (await get("/v1/campaigns?limit=50")).items, tasks: (await get("/v1/tasks")).items, waits: (await get("/v1/experiments?state=queued&limit=50")).items }));
  useEffect(() => { const ask = soon(again, 500); return listen((event) => { if (event.kind.startsWith("campaign.") || event.kind.startsWith("rig.")) ask(); }); }, []);
  if (!found || !me.value) return html`<p>${T.loading}</p>`;
  const mine = found.campaigns.filter((c) => c.person === me.value.person);
  const open = found.tasks.filter((t) => t.state === "open").sort((a, b) => (a.closes_at || Infinity) - (b.closes_at || Infinity));
  const waitsFor = new Set(found.waits.filter((x) => x.person === me.value.person).map((x) => x.rig));
  const needs = [
    ...mine.filter((c) => c.state === "waiting").map((c) => [`#/campaigns/${c.id}`, T.home.approve(c.name)]),
    ...mine.filter((c) => c.state === "paused").map((c) => [`#/campaigns/${c.id}`, T.home.paused(c.name, c.reason)]),
    ...rigs.value.filter((r) => r.state === "stopped" && waitsFor.has(r.name)).map((r) => [`#/rigs/${r.name}`, T.home.stopped(r.name)]),
    ...open.map((t) => [`#/tasks/${t.name}`, T.home.handIn(t.title, t.closes_at && day(t.closes_at))]),
  ];
  return html`<h1>${T.home.hello(me.value.name)}</h1><div class="cards">
    <${Card} head=${T.home.needs}>${needs.length ? html`<ul class="plain">${needs.map(([to, text]) => html`<li><a href=${to}>${text}</a></li>`)}</ul>` : html`<p>${T.home.nothing}</p>`}<//>
    <${Card} head=${T.home.begin}><p class="row"><a class="button first" href="#/campaigns/new">${T.home.campaign}</a>${rigs.value.filter((r) => r.is_allowed).slice(0, 6).map((r) => html`<a class="button" href=${`#/rigs/${r.name}`}>${T.experiment.head(r.name)}</a>`)}</p><//>
    <${Card} head=${T.home.left}><${Left} budget=${me.value.budget} /><//>
    ${mine.length > 0 && html`<${Card} head=${T.home.going}><ul class="plain">${mine.slice(0, 8).map((c) => html`<li><a href=${`#/campaigns/${c.id}`}>${c.name}</a> <${State} state=${c.state} /> ${T.campaign.runs(c.n_trials, c.budget.runs)}</li>`)}</ul><//>`}
  </div>`;
}
