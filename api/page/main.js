// The page: where one is (the part of the address behind #), the head with the views, and what was said.
import { effect, html, render, signal, useEffect } from "./core/html.js";
import { keep, token } from "./core/api.js";
import { begin, end, lostSince } from "./core/live.js";
import { isInstructor, isWatching, load, me } from "./core/state.js";
import { T } from "./core/texts.js";
import { Said, refuse } from "./parts/ui.js";
import Join from "./views/join.js";
import Home from "./views/home.js";
import Rigs from "./views/rigs.js";
import Rig from "./views/rig.js";
import Campaigns, { Compare } from "./views/campaigns.js";
import Campaign from "./views/campaign.js";
import Start from "./views/start.js";
import Tasks, { Task } from "./views/tasks.js";
import Class from "./views/class.js";
import Projector from "./views/projector.js";

const where = signal(location.hash || "#/");
const comes = signal(0);
window.addEventListener("hashchange", () => { where.value = location.hash; });
effect(() => {
  end();
  me.value = null;
  if (token.value) begin((isFirst) => { load().then(() => { if (!isFirst) comes.value += 1; }, refuse); });
});

function view() {
  const [name, one, more] = where.value.slice(2).split("/").map(decodeURIComponent);
  if (!name) return isWatching() ? html`<${Projector} />` : html`<${Home} />`;
  if (name === "rigs") return one ? html`<${Rig} key=${one} name=${one} />` : html`<${Rigs} />`;
  if (name === "campaigns") return one === "new" ? html`<${Start} />` : one ? html`<${Campaign} key=${one} id=${one} />` : html`<${Campaigns} />`;
  if (name === "compare") return html`<${Compare} ids=${one || ""} />`;
  if (name === "tasks") return one ? html`<${Task} key=${one} name=${one} />` : html`<${Tasks} />`;
  if (name === "class") return html`<${Class} />`;
  if (name === "projector") return html`<${Projector} />`;
  return html`<p>${T.title}: ${name}${more ? `/${more}` : ""}?</p>`;
}

function Page() {
  useEffect(() => { const h1 = document.querySelector("h1"); document.title = h1 ? `${h1.textContent} · ${T.title}` : T.title; });
  const names = Object.keys(T.views).filter((name) => (name !== "class" || isInstructor()) && (name !== "home" || !isWatching()));
  const at = where.value.slice(2).split("/")[0] || (isWatching() ? "projector" : "home");
  return html`<a class="skip" href="#content" onClick=${(e) => { e.preventDefault(); document.getElementById("content").focus(); }}>${T.skip}</a>
    <header><a href="#/" class="brand">${T.title}</a>${token.value && me.value && html`<nav aria-label="Views">${names.map((name) => html`<a key=${name} href=${name === "home" ? "#/" : `#/${name}`} aria-current=${at === name ? "page" : undefined}>${T.views[name]}</a>`)}
      <a href="/docs">API</a><button type="button" onClick=${() => { if (window.confirm(T.leaveAsks)) keep(null); }}>${T.leave}</button></nav>`}</header>
    ${lostSince.value && token.value && html`<p class="lost" role="status">${T.lost(new Date(lostSince.value).toLocaleTimeString())}</p>`}
    <main id="content" tabindex="-1" key=${comes.value}>${!token.value ? html`<${Join} />` : me.value ? view() : html`<p>${T.loading}</p>`}</main><${Said} />`;
}

render(html`<${Page} />`, document.getElementById("page"));
