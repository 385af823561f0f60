// The instructor's lesson: who is where and who is stuck, budgets and approvals, codes, tasks, and a token for the projector.
import { html, useEffect, useState } from "../core/html.js";
import { all, get, newKey, once, path, request } from "../core/api.js";
import { listen, soon } from "../core/live.js";
import { isInstructor, rigs } from "../core/state.js";
import { clock, number } from "../core/format.js";
import { T } from "../core/texts.js";
import { Button, Card, Field, Table, download, tell, useLoaded } from "../parts/ui.js";

const IDLE = 10 * 60;
const FAILED = 5;

export default function Class() {
  if (!isInstructor()) return html`<p>${T.class.notYours}</p>`;
  return html`<h1>${T.class.head}</h1><div class="cards"><${Codes} /><${Projector} /><${TasksHere} /><${People} /></div>`;
}

function People() {
  const [people] = useLoaded(() => all("/v1/people"));
  const [seen, again] = useLoaded(async () => {
    const found = {};
    for (const x of (await get("/v1/experiments?limit=200")).items.reverse()) note(found, x.person, x.rig, x.state, x.finished_at || x.created_at);
    return found;
  });
  const [chosen, setChosen] = useState([]);
  const [, tick] = useState(0);
  useEffect(() => { const beat = setInterval(() => tick((n) => n + 1), 30000); return () => clearInterval(beat); }, []);
  useEffect(() => { const ask = soon(again, 3000); return listen((event) => { if (event.kind.startsWith("experiment.")) ask(); }); }, []);
  if (!people || !seen) return html`<p>${T.loading}</p>`;
  const students = people.filter((p) => p.role === "student");
  const stuck = (p) => {
    const one = seen[p.id];
    if (!one) return "";
    if (one.failed >= FAILED) return T.class.refused(one.failed);
    const minutes = Math.floor((Date.now() / 1000 - one.at) / 60);
    return minutes * 60 >= IDLE ? T.class.idle(minutes) : "";
  };
  const real = rigs.value.filter((r) => r.is_real);
  const each = (work) => async () => { for (const id of chosen) await work(id); };
  const none = chosen.length ? null : T.class.choose;
  return html`<${Card} head=${`${T.class.people}: ${students.length}`} kind="wide"><p class="row">
    <${Button} onPress=${async () => { await each((id) => once("POST", `${path("people", id)}/grants`, { runs: 10 }, newKey()))(); tell(T.class.granted); }} why=${none}>${T.class.grant}<//>
    ${real.map((r) => html`<${Button} key=${r.name} onPress=${async () => { await each((id) => request("PUT", path("rigs", r.name, "approvals", id)))(); tell(T.class.approved); }} why=${none}>${T.class.allow} ${r.name}<//>`)}</p>
    <${Table} label=${T.class.people} head=${[html`<input type="checkbox" aria-label=${T.class.people} checked=${chosen.length === students.length && students.length > 0} onChange=${(e) => setChosen(e.target.checked ? students.map((p) => p.id) : [])} />`, "name", T.class.where, "", `${T.amounts.runs} left`, "used"]}
      rows=${students.map((p) => ({ key: p.id, cells: [html`<input type="checkbox" aria-label=${p.name} checked=${chosen.includes(p.id)} onChange=${() => setChosen(chosen.includes(p.id) ? chosen.filter((x) => x !== p.id) : [...chosen, p.id])} />`, html`<bdi class="name">${p.name}</bdi>`,
        seen[p.id] ? `${seen[p.id].rig}, ${clock(seen[p.id].at)}` : "–", stuck(p) && html`<strong class="why">⚠ ${T.class.stuck}: ${stuck(p)}</strong>`, p.budget.left.runs === null ? T.home.unlimited : number(p.budget.left.runs), number(p.budget.spent.runs)] }))} /><//>`;
}

function note(found, person, rig, state, at) {
  const before = found[person];
  const failed = state === "failed" ? (before?.failed || 0) + 1 : state === "succeeded" ? 0 : before?.failed || 0;
  found[person] = { rig, state, at: Math.max(at, before?.at || 0), failed };
  return found;
}

function Codes() {
  const [code, setCode] = useState(null);
  const [uses, setUses] = useState(30);
  const [runs, setRuns] = useState(200);
  return html`<${Card} head=${T.class.codes}><${Field} label=${T.class.uses} id="uses"><input id="uses" type="number" min="1" max="10000" value=${uses} onInput=${(e) => setUses(Number(e.target.value))} /><//>
    <${Field} label=${T.class.each} id="each"><input id="each" type="number" min="1" value=${runs} onInput=${(e) => setRuns(Number(e.target.value))} /><//>
    <p><${Button} onPress=${async () => setCode((await once("POST", "/v1/codes", { uses, budget: { runs } }, newKey())).code)}>${T.class.newCode}<//></p>
    ${code && html`<p>${T.class.codeIs}</p><p class="code">${code}</p><p>${location.origin}</p>`}<//>`;
}

function Projector() {
  const [token, setToken] = useState(null);
  return html`<${Card} head=${T.views.projector}><p><${Button} onPress=${async () => setToken((await once("POST", "/v1/people", { name: "Projector", role: "observer" }, newKey())).token)}>${T.class.projector}<//></p>
    ${token && html`<p>${T.class.projectorIs}</p><p><code class="wrap">${token}</code></p>`}<//>`;
}

function TasksHere() {
  const [found] = useLoaded(async () => Promise.all((await get("/v1/tasks")).items.map(async (t) => ({ task: t, labs: await get(`${path("tasks", t.name)}/labs`) }))));
  const [classes] = useLoaded(async () => (await get("/v1/classes")).items);
  if (!found || !classes) return html`<p>${T.loading}</p>`;
  return html`<${Card} head=${T.class.tasks}>${found.length ? html`<ul class="plain">${found.map(({ task, labs }) => html`<li key=${task.name}><a href=${`#/tasks/${task.name}`}>${task.title}</a>: ${T.class.labs(labs.ready, labs.students)}${labs.hardness.length ? `, ${T.class.par} ${number(Math.min(...labs.hardness), 2)}–${number(Math.max(...labs.hardness), 2)} × ${number(labs.median, 3)}` : ""}</li>`)}</ul>` : html`<p>${T.tasks.none}</p>`}
    <p class="row">${classes.map((c) => html`<${Button} key=${c.name} onPress=${async () => download(`${c.name}.csv`, await get(`${path("classes", c.name)}/grades`, { text: true }), "text/csv")}>${T.class.grades}: ${c.name}<//>`)}</p><//>`;
}
