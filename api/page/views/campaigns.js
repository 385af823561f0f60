// Campaigns: the list, and up to six of them beside each other.
import { html, useEffect, useState } from "../core/html.js";
import { all, get, path } from "../core/api.js";
import { listen, soon } from "../core/live.js";
import { day, number } from "../core/format.js";
import { T } from "../core/texts.js";
import { Button, Card, State, Table, useLoaded } from "../parts/ui.js";
import { Best } from "../charts/best.js";
import { Axis, points } from "./campaign.js";

export default function Campaigns() {
  const [found, again] = useLoaded(async () => (await get("/v1/campaigns?limit=100")).items);
  const [chosen, setChosen] = useState([]);
  useEffect(() => { const ask = soon(again, 400); return listen((event) => { if (event.kind.startsWith("campaign.")) ask(); }); }, []);
  if (!found) return html`<p>${T.loading}</p>`;
  const toggle = (id) => setChosen(chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id].slice(-6));
  return html`<h1>${T.campaigns.head}</h1><p class="row"><a class="button first" href="#/campaigns/new">${T.campaigns.start}</a>
    <${Button} onPress=${() => { location.hash = `#/compare/${chosen.join(",")}`; }} why=${chosen.length < 2 && T.campaigns.compareHint}>${T.campaigns.compare}<//></p>
    ${found.length ? html`<${Table} label=${T.campaigns.head} head=${["", "name", "state", "rig", "strategy", "experiments", "begun"]} rows=${found.map((c) => ({ key: c.id, cells: [
      html`<input type="checkbox" aria-label=${`${T.campaigns.compare} ${c.name}`} checked=${chosen.includes(c.id)} onChange=${() => toggle(c.id)} />`, html`<a href=${`#/campaigns/${c.id}`}>${c.name}</a>`, html`<${State} state=${c.state} />`, c.rig, c.strategy?.name || "–",
      `${c.n_trials}${c.budget.runs ? ` of ${c.budget.runs}` : ""}`, day(c.created_at)] }))} />` : html`<p>${T.campaigns.none}</p>`}`;
}

export function Compare({ ids }) {
  const [axis, setAxis] = useState("runs");
  const [found] = useLoaded(() => Promise.all(ids.split(",").slice(0, 6).map(async (id) => ({ campaign: await get(path("campaigns", id)), trials: await all(`${path("campaigns", id)}/trials`) }))), ids);
  if (!found) return html`<p>${T.loading}</p>`;
  const { unit, goal } = found[0].campaign;
  const isUp = goal.startsWith("maximize");
  return html`<h1>${T.campaigns.compare}</h1><${Card} kind="wide" head=${T.campaign.bestSoFar}><${Axis} axis=${axis} onChange=${setAxis} />
    <${Best} axis=${T.campaign.axes[axis]} unit=${unit} isUp=${isUp} series=${found.map(({ campaign, trials }) => ({ name: `${campaign.name} (${campaign.strategy?.name || "–"})`, points: points(trials, axis) }))} /><//>
    <${Card} kind="wide"><${Table} label=${T.campaigns.compare} head=${["name", "goal", "strategy", "experiments", `best, ${unit}`]} rows=${found.map(({ campaign: c }) => ({ key: c.id, cells: [html`<a href=${`#/campaigns/${c.id}`}>${c.name}</a>`, c.title, c.strategy?.name || "–", c.n_trials, number(c.best?.score)] }))} /><//>`;
}
