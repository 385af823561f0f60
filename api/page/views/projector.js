// For the wall: rigs, the latest bests, and the board. It needs no more than the right to look.
import { html, useEffect } from "../core/html.js";
import { get, path } from "../core/api.js";
import { listen, soon } from "../core/live.js";
import { rigOf, rigs } from "../core/state.js";
import { hexOf, labOf, targetOf } from "../core/color.js";
import { number } from "../core/format.js";
import { T } from "../core/texts.js";
import { Card, State, Swatch, useLoaded } from "../parts/ui.js";
import { RigCard } from "./rigs.js";
import { Board } from "./tasks.js";

export default function Projector() {
  const [bests, again] = useLoaded(async () => {
    const recent = (await get("/v1/campaigns?limit=12")).items;
    const found = await Promise.all(recent.map((c) => get(path("campaigns", c.id))));
    return Promise.all(found.filter((c) => c.best).map(async (c) => ({ campaign: c, color: (await rigOf(c.rig)).experiment.color })));
  });
  const [tasks] = useLoaded(async () => (await get("/v1/tasks")).items.filter((t) => t.state === "open"));
  useEffect(() => { const ask = soon(again, 1500); return listen((event) => { if (event.campaign) ask(); }); }, []);
  if (!bests) return html`<p>${T.loading}</p>`;
  return html`<div class="wall"><h1>${T.projector.head}</h1><div class="cards">${rigs.value.map((rig) => html`<${RigCard} key=${rig.name} rig=${rig} isProjector />`)}
    <${Card} head=${T.projector.best} kind="wide">${bests.length ? html`<div class="beside">${bests.map(({ campaign: c, color }) => html`<figure key=${c.id}><a href=${`#/campaigns/${c.id}`}><${Swatch} big hex=${hexOf(labOf(color, c.best.experiment.outcomes))} label=${T.campaign.best} /><${Swatch} big hex=${hexOf(targetOf(c.goal))} label=${T.campaign.target} /></a><figcaption>${c.title}: <strong>${number(c.best.score)} ${c.unit}</strong><br />${T.campaign.runs(c.n_trials, c.budget.runs)} <${State} state=${c.state} /></figcaption></figure>`)}</div>` : html`<p>${T.projector.nobody}</p>`}<//>
    ${(tasks || []).map((t) => html`<${Card} key=${t.name} head=${`${T.projector.board}: ${t.title}`} kind="wide"><${Board} name=${t.name} /><//>`)}</div></div>`;
}
