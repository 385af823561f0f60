// Tasks of the class: what is asked, what is left, the hand-in, what was judged, and the board.
import { html, useEffect, useState } from "../core/html.js";
import { get, newKey, once, path } from "../core/api.js";
import { listen, soon } from "../core/live.js";
import { isInstructor, rigOf } from "../core/state.js";
import { day, number } from "../core/format.js";
import { T } from "../core/texts.js";
import { Button, Card, Field, State, Table, tell, useLoaded } from "../parts/ui.js";
import { Settings, firstSettings, wrong } from "../parts/settings.js";
import { Left } from "./home.js";

const leftOf = (task) => ({ left: Object.fromEntries(Object.entries(task.budget).filter(([, v]) => v !== null).map(([k, v]) => [k, v - (task.spent[k] || 0)])) });

export default function Tasks() {
  const [found] = useLoaded(async () => (await get("/v1/tasks")).items);
  if (!found) return html`<p>${T.loading}</p>`;
  return html`<h1>${T.tasks.head}</h1>${found.length ? html`<div class="cards">${found.map((t) => html`<${Card} key=${t.name}><h2><a href=${`#/tasks/${t.name}`}>${t.title}</a></h2><p><${State} state=${t.state} /> ${t.closes_at ? T.tasks.until(day(t.closes_at)) : ""}</p><p>${t.text}</p>${t.points !== null && html`<p>${T.tasks.points(number(t.points))}</p>`}<//>`)}</div>` : html`<p>${T.tasks.none}</p>`}`;
}

const Parts = ({ parts }) => html`<dl class="amounts">${Object.entries(parts).map(([k, v]) => html`<div><dt>${k}</dt><dd>${number(v)}</dd></div>`)}</dl>`;

export function Board({ name }) {
  const [board, again] = useLoaded(async () => (await get(`${path("tasks", name)}/board`)).items, name);
  useEffect(() => { const ask = soon(again, 1000); return listen((event) => { if (event.kind === "experiment.succeeded" && event.rig === name) ask(); }); }, [name]);
  if (!board) return html`<p>${T.loading}</p>`;
  return html`<${Table} label=${T.tasks.board} head=${[T.tasks.rank, T.tasks.who, T.tasks.best, T.tasks.used, ""]} rows=${board.map((row, k) => ({ key: row.nickname + k, cells: [k + 1, html`<bdi>${row.nickname}</bdi>`, number(row.best), `${number(row.spent.runs || 0)} ${T.amounts.runs}`, row.points !== null ? T.tasks.points(number(row.points)) : row.is_handed_in ? T.states["handed in"] : ""] }))} />`;
}

export function Task({ name }) {
  const [task, again, setTask] = useLoaded(() => get(path("tasks", name)), name);
  if (!task) return html`<p>${T.loading}</p>`;
  const isOver = task.handed_in_at !== null;
  return html`<h1>${task.title} <${State} state=${task.state} /></h1><p>${task.text}</p><p>${task.rule}</p><div class="cards">
    <${Card} head=${T.tasks.left}><${Left} budget=${leftOf(task)} />${task.closes_at && html`<p>${T.tasks.until(day(task.closes_at))}</p>`}
      ${task.state === "open" && html`<p class="row"><a class="button first" href=${`#/rigs/${task.name}`}>${T.tasks.work}</a><a class="button" href="#/campaigns/new">${T.campaigns.start}</a></p>`}<//>
    ${task.state === "open" && !isInstructor() && html`<${HandIn} task=${task} onDone=${(made) => { setTask(made); tell(T.tasks.handed); }} />`}
    ${isOver && html`<${Card} head=${T.tasks.parts}>${task.points !== null ? html`<p class="large">${T.tasks.points(number(task.points))}</p><${Parts} parts=${task.parts} /><h3>${T.tasks.par}</h3><${Parts} parts=${task.par} />` : html`<p>${T.tasks.notYet}</p>`}<//>`}
    <${Card} head=${T.tasks.board} kind="wide"><${Board} name=${name} /><//></div>`;
}

function HandIn({ task, onDone }) {
  const [rig] = useLoaded(() => rigOf(task.name), task.name);
  const [campaigns] = useLoaded(async () => (await get("/v1/campaigns?limit=100")).items.filter((c) => c.rig === task.name), task.name);
  const [how, setHow] = useState("");
  const [settings, setSettings] = useState(null);
  if (!rig || !campaigns) return html`<p>${T.loading}</p>`;
  const recipe = settings || firstSettings(rig.experiment);
  const send = async () => {
    if (!window.confirm(T.tasks.handInAsks)) return;
    onDone(await once("POST", `${path("tasks", task.name)}/hand-in`, how ? { campaign: how } : { settings: recipe }, newKey()));
  };
  const why = how ? null : task.asks === "map" ? T.tasks.map : wrong(rig.experiment, recipe);
  return html`<${Card} head=${T.tasks.handIn}><${Field} label=${T.tasks.recipe} id="by"><select id="by" value=${how} onChange=${(e) => setHow(e.target.value)}><option value="">${task.asks === "map" ? "–" : T.tasks.settings}</option>${campaigns.map((c) => html`<option value=${c.id}>${c.name}</option>`)}</select><//>
    ${!how && task.asks !== "map" && html`<${Settings} experiment=${rig.experiment} settings=${recipe} onChange=${setSettings} />`}
    <p><${Button} kind="first" onPress=${send} why=${why}>${T.tasks.handIn}<//></p><//>`;
}
