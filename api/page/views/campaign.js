// One campaign, live: target beside measured, the best so far, colors or labels, what comes next and why, and what a person may say.
import { html, useEffect, useRef, useState } from "../core/html.js";
import { all, get, once, newKey, path } from "../core/api.js";
import { listen, soon } from "../core/live.js";
import { me, rigOf } from "../core/state.js";
import { hexOf, labOf, targetOf } from "../core/color.js";
import { number, seconds } from "../core/format.js";
import { T } from "../core/texts.js";
import { Button, Card, State, Swatch, Table, download, tell, useLoaded } from "../parts/ui.js";
import { Settings, recipe, wrong } from "../parts/settings.js";
import { Best } from "../charts/best.js";
import { Strip } from "../charts/strip.js";
import { Plane } from "../charts/plane.js";
import { Channels } from "../charts/channels.js";

const PER = { runs: () => 1, seconds: (x) => (x.cost || x.estimate).seconds / 60, money: (x) => (x.cost || x.estimate).money };

export function points(trials, axis, hexes = {}) {
  let at = 0;
  return trials.filter((t) => t.experiment.finished_at).map((t) => {
    at += PER[axis](t.experiment);
    return { trial: t.trial, at, score: t.counts ? t.score : null, hex: hexes[t.trial] };
  });
}

export function Axis({ axis, onChange }) {
  return html`<p class="row" role="group" aria-label=${T.campaign.against}>${Object.keys(T.campaign.axes).map((one) => html`<button type="button" aria-pressed=${axis === one ? "true" : "false"} onClick=${() => onChange(one)}>${T.campaign.axes[one]}</button>`)}</p>`;
}

export default function Campaign({ id }) {
  const here = path("campaigns", id);
  const [campaign, again, setCampaign] = useLoaded(() => get(here), id);
  const [trials, , setTrials] = useLoaded(() => all(`${here}/trials`), id);
  const [rig] = useLoaded(async () => (campaign ? rigOf(campaign.rig) : null), campaign?.rig);
  const [axis, setAxis] = useState("runs");
  const [upTo, setUpTo] = useState(null);
  const [chosen, setChosen] = useState(null);
  const now = useRef(null);
  now.current = trials;
  useEffect(() => {
    const status = soon(again);
    let whole = false; // a correction may be of any trial
    const ask = soon(async () => {
      const had = whole ? [] : now.current || [];
      whole = false;
      const kept = had.slice(0, had.findIndex((t) => !t.experiment.finished_at) + 1 || had.length + 1).filter((t) => t.experiment.finished_at);
      const found = [];
      for (let first = kept.length + 1; first; ) {
        const page = await get(`${here}/trials?limit=200&cursor=${first}`);
        found.push(...page.items);
        first = page.next;
      }
      setTrials([...kept, ...found]);
    });
    return listen((event) => {
      if (event.campaign !== id) return;
      whole ||= /retracted|amended/.test(event.kind);
      status();
      ask();
    });
  }, [id]);
  if (!campaign || !trials || !rig) return html`<p>${T.loading}</p>`;
  const { experiment } = rig;
  const mine = campaign.person === me.value?.person && me.value.scopes.some((s) => s.startsWith("run"));
  const done = trials.filter((t) => t.experiment.finished_at);
  const last = upTo === null ? done.length : Math.min(upTo, done.length);
  const shown = done.slice(0, last);
  const lab = (t) => labOf(experiment.color, t.correction?.kind === "retracted" ? null : t.experiment.outcomes);
  const hexes = Object.fromEntries(shown.map((t) => [t.trial, hexOf(lab(t))]));
  const target = targetOf(campaign.goal);
  const isUp = campaign.goal.startsWith("maximize");
  const label = /^map:([^:]+)$/.exec(campaign.goal)?.[1];
  const scored = shown.filter((t) => t.counts && typeof t.score === "number");
  const best = scored.length ? scored.reduce((a, b) => ((isUp ? b.score > a.score : b.score < a.score) ? b : a)) : null;
  const one = shown.find((t) => t.trial === chosen) || shown[shown.length - 1];
  const act = (action, more = {}) => async () => { setCampaign({ ...campaign, ...(await once("POST", `${here}/actions`, { action, ...more }, newKey())) }); };
  const file = (format, kind) => async () => download(`${campaign.name}.${format}`, await get(`${here}/export?format=${format}`, { text: true }), kind);
  const notMine = mine ? null : T.campaign.notMine;
  return html`<h1>${campaign.name} <${State} state=${campaign.state} /></h1>
    <p>${campaign.title || campaign.goal} · ${T.campaign.by(campaign.strategy?.name || "–", campaign.rig)} · ${T.campaign.runs(campaign.n_trials, campaign.budget.runs)}${campaign.reason ? html` · <span class="why">${campaign.reason}</span>` : ""}</p>
    <p aria-live="polite">${campaign.result}</p>
    ${campaign.proposal && mine && html`<${Proposal} campaign=${campaign} rig=${rig} onDone=${again} />`}
    <div class="cards">
    ${target && html`<${Card}><div class="beside"><figure><${Swatch} big hex=${hexOf(target)} label=${T.campaign.target} /><figcaption>${T.campaign.target}<br /><code>${hexOf(target)}</code></figcaption></figure>
      <figure>${best ? html`<${Swatch} big hex=${hexes[best.trial]} label=${T.campaign.best} />` : html`<div class="swatch big none"></div>`}<figcaption>${best ? html`${T.campaign.best}: ${number(best.score)} ${campaign.unit}<br /><code>${hexes[best.trial]}</code>` : T.campaign.noScore}</figcaption></figure></div><//>`}
    ${(scored.length > 0) && html`<${Card} head=${T.campaign.bestSoFar}><${Axis} axis=${axis} onChange=${setAxis} /><${Best} axis=${T.campaign.axes[axis]} unit=${campaign.unit} isUp=${isUp} series=${[{ name: campaign.name, points: points(shown, axis, hexes) }]} /><//>`}
    ${target && shown.length > 0 && html`<${Card} head=${T.campaign.plane}><${Colors} shown=${shown} lab=${lab} hexes=${hexes} target=${target} unit=${campaign.unit} /><//>`}
    ${label && html`<${Card} head=${T.campaign.map}><${Labels} experiment=${experiment} shown=${shown} label=${label} next=${campaign.proposal?.settings} /><//>`}
    ${campaign.front && html`<${Card} head=${T.campaign.front}><${Front} campaign=${campaign} shown=${shown} /><//>`}
    ${experiment.color && shown.length > 0 && html`<${Card} head=${T.campaign.strip}><${Strip} points=${points(shown, "runs", hexes)} target=${hexOf(target)} unit=${campaign.unit} chosen=${one?.trial} onChoose=${setChosen} /><//>`}
    ${one?.experiment.outcomes && html`<${Card} head=${`${T.campaign.channels}: ${one.trial}`}><p>${recipe(experiment, one.experiment.settings)}</p><${Channels} outcomes=${one.experiment.outcomes} names=${experiment.outcomes.map((o) => o.name)} />
      ${mine && !one.correction && html`<${Retract} here=${here} trial=${one.trial} onDone=${async () => { setTrials(await all(`${here}/trials`)); again(); }} />`}${one.correction && html`<p class="why">${one.correction.kind}: ${one.correction.why}</p>`}<//>`}
    ${mine && target && scored.length > 1 && html`<${Closer} here=${here} scored=${scored} hexes=${hexes} target=${hexOf(target)} />`}
    <${Recommended} here=${here} experiment=${experiment} n=${campaign.n_trials} />
    <${Picture} here=${here} n=${last} />
    <${Card}><p class="row">${campaign.state === "paused" ? html`<${Button} onPress=${act("resume")} why=${notMine}>${T.campaign.resume}<//>` : html`<${Button} onPress=${act("pause")} why=${notMine || (campaign.state === "ended" && T.rigs.isNot("ended"))}>${T.campaign.pause}<//>`}
      <${Button} onPress=${act("stop")} why=${notMine || (campaign.state === "ended" && T.rigs.isNot("ended"))}>${T.campaign.stop}<//><${Button} onPress=${act("extend", { budget: { runs: 10 } })} why=${notMine}>${T.campaign.extend}<//>
      <${Button} onPress=${file("csv", "text/csv")}>${T.campaign.csv}<//><${Button} onPress=${file("json", "application/json")}>${T.campaign.json}<//></p>
      ${done.length > 1 && html`<p><label for="replay">${T.campaign.replay}: ${T.campaign.upTo(last)}</label><input id="replay" type="range" min="1" max=${done.length} value=${last} onInput=${(e) => setUpTo(Number(e.target.value) === done.length ? null : Number(e.target.value))} /></p>`}<//>
    <${Card} head=${T.campaign.trials} kind="wide"><${Table} label=${T.campaign.trials} head=${["#", "", ...experiment.parameters.map((p) => (p.unit === "1" ? p.name : `${p.name}, ${p.unit}`)), `score${campaign.unit ? `, ${campaign.unit}` : ""}`, ""]}
      rows=${[...trials].reverse().slice(0, 200).map((t) => ({ key: t.trial, cells: [t.trial, html`<${Swatch} hex=${hexes[t.trial]} label=${T.campaign.measured} />`, ...experiment.parameters.map((p) => number(t.experiment.settings[p.name])), label ? (t.experiment.outcomes?.[label] ?? "–") : number(t.score), html`<${State} state=${t.experiment.state} />${t.experiment.error ? html`<small class="why">${t.experiment.error}</small>` : ""}`] }))} />
      ${trials.length > 200 && html`<p>${T.campaign.left(trials.length - 200)}</p>`}<//></div>`;
}

function Colors({ shown, lab, hexes, target, unit }) {
  const found = shown.map((t) => [t, lab(t)]).filter(([, l]) => l);
  return html`<${Plane} label=${T.campaign.plane} xLabel="a*" yLabel="b*" target=${{ x: target[1], y: target[2], title: T.campaign.target }}
    points=${found.map(([t, l]) => ({ key: t.trial, x: l[1], y: l[2], hex: hexes[t.trial], title: `${t.trial}: ${number(t.score)} ${unit}` }))} />`;
}

function Labels({ experiment, shown, label, next }) {
  const free = experiment.parameters.filter((p) => p.kind !== "categorical");
  const [first, second] = free;
  const found = shown.filter((t) => t.experiment.outcomes?.[label] !== undefined);
  const groups = [...new Set(found.map((t) => t.experiment.outcomes[label]))].sort();
  const range = (p) => [p.low ?? p.values[0], p.high ?? p.values[p.values.length - 1]];
  return html`<${Plane} label=${T.campaign.map} xLabel=${`${first.name}${first.unit === "1" ? "" : `, ${first.unit}`}`} yLabel=${second ? `${second.name}${second.unit === "1" ? "" : `, ${second.unit}`}` : ""} x=${range(first)} y=${second ? range(second) : [0, 1]} groups=${groups}
    target=${next && { x: next[first.name], y: second ? next[second.name] : 0.5, title: T.campaign.next }}
    points=${found.map((t) => ({ key: t.trial, x: t.experiment.settings[first.name], y: second ? t.experiment.settings[second.name] : 0.5, group: t.experiment.outcomes[label], title: `${t.trial}: ${t.experiment.outcomes[label]}` }))} />`;
}

function Front({ campaign, shown }) {
  const names = Object.keys(campaign.front[0]?.values || {}).filter((n) => n !== "meets");
  if (names.length < 2) return null;
  const [x, y] = names;
  const on = new Set(campaign.front.map((t) => t.trial));
  return html`<${Plane} label=${T.campaign.front} xLabel=${x} yLabel=${y} groups=${["on the front", "behind it"]} points=${shown.filter((t) => typeof t.values[x] === "number" && typeof t.values[y] === "number").map((t) => ({ key: t.trial, x: t.values[x], y: t.values[y], group: on.has(t.trial) ? "on the front" : "behind it", title: `${t.trial}` }))} />`;
}

function Proposal({ campaign, rig, onDone }) {
  const { proposal } = campaign;
  const [why, setWhy] = useState("");
  const [changed, setChanged] = useState(null);
  const judge = (decision, more = {}) => async () => { await once("POST", `${path("campaigns", campaign.id)}/proposal`, { trial: proposal.trial, decision, ...more }, newKey()); setChanged(null); setWhy(""); onDone(); };
  const expected = Object.entries(proposal.expected || {}).slice(0, 12);
  return html`<${Card} head=${`${T.campaign.next}: ${recipe(rig.experiment, proposal.settings)}`} kind="next">
    <p>${proposal.why}</p>${expected.length > 0 && html`<details><summary>${T.campaign.expected}</summary><ul>${expected.map(([k, v]) => html`<li>${k}: ${number(v)}</li>`)}</ul></details>`}
    ${changed && html`<${Settings} experiment=${rig.experiment} settings=${changed} onChange=${setChanged} />`}
    <p class="row"><${Button} kind="first" onPress=${changed ? judge("edit", { settings: changed }) : judge("approve")} why=${changed && wrong(rig.experiment, changed)}>${T.campaign.approve}<//>
    <${Button} onPress=${() => setChanged(changed ? null : proposal.settings)}>${T.campaign.edit}<//>
    <label for="why">${T.campaign.why}</label><input id="why" maxlength="200" value=${why} onInput=${(e) => setWhy(e.target.value)} /><${Button} onPress=${judge("reject", { why })}>${T.campaign.reject}<//></p><//>`;
}

function Retract({ here, trial, onDone }) {
  const [why, setWhy] = useState("");
  return html`<details><summary>${T.campaign.retract}</summary><p class="row"><label for="wrong">${T.campaign.retractWhy}</label><input id="wrong" maxlength="200" value=${why} onInput=${(e) => setWhy(e.target.value)} />
    <${Button} onPress=${async () => { await once("POST", `${here}/entries`, { kind: "retraction", number: trial, why }, newKey()); onDone(); }} why=${!why.trim() && T.campaign.retractWhy}>${T.campaign.retract}<//></p></details>`;
}

function Closer({ here, scored, hexes, target }) {
  const [seed, setSeed] = useState(0);
  const a = scored[scored.length - 1];
  const b = scored[(scored.length * 7 + seed * 3) % (scored.length - 1)];
  const say = (better, worse) => async () => { await once("POST", `${here}/entries`, { kind: "preference", better: better.trial, worse: worse.trial }, newKey()); setSeed(seed + 1); tell(T.campaign.noted(better.trial)); };
  return html`<${Card} head=${T.campaign.closer}><div class="beside">${[[a, b], [b, a]].map(([one, other]) => html`<figure><button type="button" class="choice" onClick=${say(one, other)} aria-label=${`${one.trial}, ${hexes[one.trial]}`}><svg class="pair big" viewBox="0 0 10 10" preserveAspectRatio="none" aria-hidden="true"><rect width="10" height="10" fill=${hexes[one.trial]} /><rect y="6" width="10" height="4" fill=${target} /></svg></button><figcaption>${one.trial}</figcaption></figure>`)}</div><//>`;
}

function Recommended({ here, experiment, n }) {
  const [found, setFound] = useState(null);
  return html`<${Card} head=${T.campaign.recommend}><p><${Button} onPress=${async () => setFound(await get(`${here}/recommendation`))} why=${!n && T.campaign.noRecipe}>${T.campaign.recommend}<//></p>
    ${found && html`<p aria-live="polite">${found.settings ? html`<strong>${recipe(experiment, found.settings)}</strong><br />${found.by === "model" ? T.campaign.byModel(found.n_trials) : T.campaign.byReading(found.n_trials)}` : T.campaign.noRecipe}</p>`}<//>`;
}

function Picture({ here, n }) {
  const [svg, setSvg] = useState(null);
  const draw = async () => {
    const text = await get(`${here}/export?format=svg`, { text: true });
    setSvg(text);
  };
  return html`<${Card} head=${T.campaign.picture}><p class="row"><${Button} onPress=${draw} why=${!n && T.campaign.noRecipe}>${T.campaign.draw}<//>${svg && html`<${Button} onPress=${() => download("picture.svg", svg, "image/svg+xml")}>${T.campaign.svg}<//>`}</p>${svg && html`<${Drawn} svg=${svg} />`}<//>`;
}

function Drawn({ svg }) {
  const put = (of) => {
    if (!of) return;
    // The policy of the page forbids styles in markup, and lets a program set them.
    const plain = svg.replace(/<style[\s\S]*?<\/style>/g, "").replace(/ style="([^"]*)"/g, ' data-style="$1"');
    const drawn = document.importNode(new DOMParser().parseFromString(plain, "image/svg+xml").documentElement, true);
    for (const one of drawn.querySelectorAll("[data-style]")) { one.style.cssText = one.dataset.style; one.removeAttribute("data-style"); }
    drawn.removeAttribute("width");
    drawn.removeAttribute("height");
    of.replaceChildren(drawn);
  };
  return html`<div class="drawn" ref=${put}></div>`;
}
