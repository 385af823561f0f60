// One rig: an experiment by hand, its price before it, and the results beside the last ones.
import { html, useEffect, useState } from "../core/html.js";
import { get, newKey, once, request } from "../core/api.js";
import { listen } from "../core/live.js";
import { me, rigOf, rigs } from "../core/state.js";
import { hexOf, labOf } from "../core/color.js";
import { money, number, seconds, withUnit } from "../core/format.js";
import { T } from "../core/texts.js";
import { Button, Card, State, Swatch, Table, draft, refuse, tell, useLoaded } from "../parts/ui.js";
import { Settings, firstSettings, wrong } from "../parts/settings.js";
import { RigCard } from "./rigs.js";

const drafts = new Map();
const draftOf = (name) => { if (!drafts.has(name)) drafts.set(name, draft(`rig-${name}`, null)); return drafts.get(name); };
const ENDS = ["succeeded", "failed", "aborted", "unknown"];

export default function Rig({ name }) {
  const typed = draftOf(name);
  const [rig] = useLoaded(() => rigOf(name, true), name);
  const [done, again, setDone] = useLoaded(async () => (await get("/v1/experiments?limit=50")).items.filter((x) => x.rig === name && x.person === me.value?.person), name);
  const [quote, setQuote] = useState(null);
  const [copy, setCopy] = useState(null);
  const settings = typed.value || (rig && firstSettings(rig.experiment));
  const fault = rig && settings && wrong(rig.experiment, settings);
  const asked = JSON.stringify(settings);
  useEffect(() => {
    if (!rig || fault) { setQuote(null); return undefined; }
    const ends = new AbortController();
    const waits = setTimeout(async () => {
      try { setQuote(await request("POST", "/v1/experiments", { body: { rig: name, settings, dry_run: true }, signal: ends.signal })); } catch (error) { if (error.name !== "AbortError") setQuote({ allowed: false, reason: error.message, estimate: null }); }
    }, 300);
    return () => { clearTimeout(waits); ends.abort(); };
  }, [asked, fault, Boolean(rig)]);
  useEffect(() => listen((event) => {
    if (!event.kind.startsWith("experiment.") || event.rig !== name) return;
    setDone((before) => before && before.map((x) => (x.id === event.experiment ? { ...x, ...event.body } : x)));
    if (ENDS.includes(event.body.state)) again();
  }), [name]);
  const known = rigs.value.find((one) => one.name === name) || rig;
  if (!rig || !done) return html`<p>${T.loading}</p>`;
  const perform = async () => {
    const made = await once("POST", "/v1/experiments?wait=1", { rig: name, settings }, newKey());
    setDone((before) => [made, ...before.filter((x) => x.id !== made.id)]);
    if (made.state === "succeeded") tell(T.experiment.done);
    if (made.error) refuse(new Error(made.error));
  };
  const body = JSON.stringify({ rig: name, settings });
  const here = location.origin;
  const shells = {
    curl: `curl -s "${here}/v1/experiments?wait=20" -H "Authorization: Bearer $FRUGALTWIN_TOKEN" -H "Content-Type: application/json" -d '${body}'`,
    python: `from frugaltwin import Client\n\nclient = Client("${here}")  # the token is FRUGALTWIN_TOKEN, or the one that was kept\nprint(client.submit("${name}", ${JSON.stringify(settings)}, wait=60).outcomes)`,
  };
  const offer = async (text) => {
    try { await navigator.clipboard.writeText(text); tell(T.experiment.copied); setCopy(null); } catch { setCopy(text); }
  };
  return html`<h1>${T.experiment.head(name)}</h1><div class="cards">
    <${Card}><${Settings} experiment=${rig.experiment} settings=${settings} onChange=${(s) => typed.set(s)} />
      <p aria-live="polite">${T.experiment.price}: ${quote?.estimate ? html`<strong>${seconds(quote.estimate.seconds)}, ${money(quote.estimate.money)}${quote.estimate.volume ? `, ${number(quote.estimate.volume)} mL` : ""}</strong>` : "–"}</p>
      <p class="row"><${Button} kind="first" onPress=${perform} why=${fault || (quote && !quote.allowed && quote.reason)}>${T.experiment.perform}<//>
      <${Button} onPress=${() => offer(shells.curl)}>${T.experiment.copyCurl}<//><${Button} onPress=${() => offer(shells.python)}>${T.experiment.copyPython}<//></p>
      ${copy && html`<label for="copy">${T.experiment.copyBy}</label><textarea id="copy" readonly rows="4" ref=${(e) => e?.select()}>${copy}</textarea>`}<//>
    <${RigCard} rig=${{ ...rig, ...known }} />
    <${Card} head=${T.experiment.last} kind="wide">${done.length ? html`<${Results} rig=${rig} done=${done} />` : html`<p>${T.experiment.none}</p>`}<//>
    <${About} rig=${rig} />
  </div>`;
}

function Results({ rig, done }) {
  const { experiment } = rig;
  const names = experiment.outcomes.map((o) => o.name).slice(0, 10);
  return html`<${Table} label=${T.experiment.last} head=${["", "", ...experiment.parameters.map((p) => (p.unit === "1" ? p.name : `${p.name}, ${p.unit}`)), ...names]}
    rows=${done.map((x) => ({ key: x.id, cells: [html`<${State} state=${x.state} />${x.state === "queued" && x.waiting_because ? html`<small class="why">${x.waiting_because}</small>` : ""}${x.error ? html`<small class="why">${x.error}</small>` : ""}`,
      html`<${Swatch} hex=${hexOf(labOf(experiment.color, x.outcomes))} label="measured" />`, ...experiment.parameters.map((p) => number(x.settings[p.name])), ...names.map((n) => number(x.outcomes?.[n]))] }))} />`;
}

function About({ rig }) {
  const { parameters, outcomes } = rig.experiment;
  return html`<${Card} kind="wide"><details><summary>${T.rigs.about}</summary>
    <h3>${T.rigs.parameters}</h3><${Table} label=${T.rigs.parameters} head=${["name", "", "from", "to"]} rows=${parameters.map((p) => ({ key: p.name, cells: [p.name, p.description, withUnit(p.low ?? p.values?.[0], p.unit), withUnit(p.high ?? p.values?.[p.values.length - 1], p.unit)] }))} />
    <h3>${T.rigs.outcomes}</h3><${Table} label=${T.rigs.outcomes} head=${["name", "", "unit"]} rows=${outcomes.map((o) => ({ key: o.name, cells: [o.name, o.description || o.labels.join(", "), o.unit] }))} /></details><//>`;
}
