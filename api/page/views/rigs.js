// All rigs: their state, their queue, who is on them, and the stop button.
import { html, useEffect, useState } from "../core/html.js";
import { path, request } from "../core/api.js";
import { isInstructor, me, rigs } from "../core/state.js";
import { clock, seconds } from "../core/format.js";
import { T } from "../core/texts.js";
import { Button, State, tell } from "../parts/ui.js";

export function Hand({ rig }) {
  const to = (action) => async () => { await request("POST", path("rigs", rig.name, action)); };
  const only = isInstructor() ? null : T.rigs.onlyInstructor;
  return html`<p class="row hand"><${Button} kind="stop" label=${`${T.rigs.stop} ${rig.name}`} onPress=${async () => { await to("stop")(); tell(T.rigs.stopped(rig.name)); }}>${T.rigs.stop}<//>
    <${Button} onPress=${to("pause")} why=${only || (rig.state !== "open" && T.rigs.isNot(rig.state))}>${T.rigs.pause}<//>
    <${Button} onPress=${to("open")} why=${only || (rig.state === "open" && T.rigs.isOpen)}>${T.rigs.open}<//></p>`;
}

export function On({ rig }) {
  const [, tick] = useState(0);
  useEffect(() => { if (!rig.running.length) return undefined; const beat = setInterval(() => tick((n) => n + 1), 1000); return () => clearInterval(beat); }, [rig.running.length]);
  if (!rig.running.length) return html`<span>${T.rigs.idle}</span>`;
  return html`<span>${rig.running.map((one) => html`<span class="running">▶ ${T.rigs.on(one.owner === me.value?.person ? T.rigs.you : one.owner, one.started_at ? clock(one.started_at) : "–")} </span>`)}</span>`;
}

export function RigCard({ rig, isProjector }) {
  return html`<section class="card"><h2>${isProjector ? rig.name : html`<a href=${`#/rigs/${rig.name}`}>${rig.name}</a>`}</h2>
    <p class="row"><${State} state=${rig.state} /><span>${rig.is_real ? T.rigs.real : T.rigs.twin}</span><span>${rig.driver}</span></p>
    <p><${On} rig=${rig} /><br />${T.rigs.queue(rig.queued, rig.eta_s ? seconds(rig.eta_s) : "")}</p>
    ${!rig.is_allowed && !isProjector && html`<p class="why">${T.rigs.notAllowed}</p>`}
    ${!isProjector && html`<${Hand} rig=${rig} />`}</section>`;
}

export default function Rigs() {
  return html`<h1>${T.rigs.head}</h1><div class="cards">${rigs.value.map((rig) => html`<${RigCard} key=${rig.name} rig=${rig} />`)}</div>`;
}
