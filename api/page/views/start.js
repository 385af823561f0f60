// A new campaign: a goal, what chooses, and a budget with its price.
import { html, useEffect, useState } from "../core/html.js";
import { newKey, once, request } from "../core/api.js";
import { rigOf, rigs } from "../core/state.js";
import { money, seconds } from "../core/format.js";
import { T } from "../core/texts.js";
import { Button, Card, Field, draft, useLoaded } from "../parts/ui.js";
import { firstSettings } from "../parts/settings.js";

const typed = draft("campaign", { name: "", rig: "", goal: "", color: "#8fb04a", strategy: "", runs: 12, approve: false });
let key = newKey();

export default function Start() {
  const one = typed.value;
  const set = (more) => { key = newKey(); typed.set({ ...typed.value, ...more }); };
  const chosen = one.rig || rigs.value.find((r) => r.is_allowed)?.name;
  const [rig] = useLoaded(() => (chosen ? rigOf(chosen) : null), chosen);
  const [price, setPrice] = useState(null);
  useEffect(() => {
    if (!rig) return;
    request("POST", "/v1/experiments", { body: { rig: rig.name, settings: firstSettings(rig.experiment), dry_run: true } }).then((quote) => setPrice(quote.estimate), () => setPrice(null));
  }, [rig?.name]);
  if (!rig || rig.name !== chosen) return html`<p>${T.loading}</p>`;
  const goals = [...new Set([...(rig.default_goal ? [rig.default_goal] : []), ...rig.goals.map((g) => g.goal).map((g) => (g.startsWith("match-color:#") ? "match-color" : g))])];
  const kind = goals.includes(one.goal) ? one.goal : goals[0];
  const goal = kind === "match-color" ? `match-color:${one.color}` : kind;
  const word = kind.split(":").slice(0, kind.startsWith("match-color") ? 1 : 2).join(":");
  const strategies = (rig.goals.find((g) => g.goal.startsWith(word)) || rig.goals[0])?.strategies || [];
  const strategy = strategies.includes(one.strategy) ? one.strategy : strategies[0];
  const start = async () => {
    const name = one.name.trim() || `${rig.name}-${new Date().toISOString().slice(5, 19).replace(/[-:T]/g, "")}`;
    const made = await once("POST", "/v1/campaigns", { name, rig: rig.name, goal, strategy: { name: strategy }, budget: { runs: one.runs }, approve: one.approve }, key);
    key = newKey();
    typed.clear();
    location.hash = `#/campaigns/${made.id}`;
  };
  return html`<div class="narrow"><h1>${T.campaigns.start}</h1><${Card}>
    <${Field} label=${T.campaigns.name} id="c-name"><input id="c-name" maxlength="80" value=${one.name} placeholder="reef" onInput=${(e) => set({ name: e.target.value })} /><//>
    <${Field} label=${T.campaigns.rig} id="c-rig"><select id="c-rig" value=${chosen} onChange=${(e) => set({ rig: e.target.value })}>${rigs.value.map((r) => html`<option disabled=${!r.is_allowed}>${r.name}</option>`)}</select><//>
    <${Field} label=${T.campaigns.goal} id="c-goal"><select id="c-goal" value=${kind} onChange=${(e) => set({ goal: e.target.value })}>${goals.map((g) => html`<option value=${g}>${g === "match-color:reachable" ? T.campaigns.seed : g === "match-color" ? T.campaigns.chosen : g}</option>`)}</select><//>
    ${kind === "match-color" && html`<${Field} label=${T.campaigns.target} id="c-color"><input id="c-color" type="color" value=${one.color} onInput=${(e) => set({ color: e.target.value })} /> <code>${one.color}</code><//>`}
    <${Field} label=${T.campaigns.strategy} hint=${T.campaigns.strategies[strategy] || ""} id="c-strategy"><select id="c-strategy" value=${strategy} aria-describedby="c-strategy-hint" onChange=${(e) => set({ strategy: e.target.value })}>${strategies.map((s) => html`<option>${s}</option>`)}</select><//>
    <${Field} label=${T.campaigns.runs} hint=${price ? T.campaigns.price(seconds(price.seconds * one.runs), money(price.money * one.runs)) : ""} id="c-runs"><input id="c-runs" type="number" min="1" max="500" value=${one.runs} aria-describedby="c-runs-hint" onInput=${(e) => set({ runs: Math.max(1, Math.round(Number(e.target.value) || 1)) })} /><//>
    <p><label class="check"><input type="checkbox" checked=${one.approve} onChange=${(e) => set({ approve: e.target.checked })} /> ${T.campaigns.approve}</label></p>
    <p><${Button} kind="first" onPress=${start}>${T.campaigns.press}<//></p><//></div>`;
}
