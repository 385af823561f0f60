// A join code, or a token, brings somebody in.
import { html, useState } from "../core/html.js";
import { get, keep, newKey, once } from "../core/api.js";
import { T } from "../core/texts.js";
import { Card, Field, draft, refuse } from "../parts/ui.js";

const typed = draft("join", { code: "", name: "", isKept: false });
const key = newKey();

export default function Join() {
  const [word, setWord] = useState("");
  const [isBusy, setBusy] = useState(false);
  const set = (more) => typed.set({ ...typed.value, ...more });
  const doing = (work) => async (event) => {
    event.preventDefault();
    setBusy(true);
    try { await work(); } catch (error) { refuse(error); }
    setBusy(false);
  };
  const join = doing(async () => {
    const { code, name, isKept } = typed.value;
    const joined = await once("POST", "/v1/join", { code, name }, `${key}-${name}-${code}`.slice(0, 100));
    typed.clear();
    keep(joined.token, isKept);
  });
  const enter = doing(async () => {
    await get("/v1/me", { headers: { Authorization: `Bearer ${word.trim()}` } });
    keep(word.trim(), typed.value.isKept);
  });
  const { code, name, isKept } = typed.value;
  return html`<div class="narrow"><h1>${T.join.head}</h1><${Card}><form onSubmit=${join}>
    <${Field} label=${T.join.code} hint=${T.join.codeHint} id="code"><input id="code" autocomplete="off" autocapitalize="none" spellcheck=${false} required value=${code} aria-describedby="code-hint" onInput=${(e) => set({ code: e.target.value })} /><//>
    <${Field} label=${T.join.name} hint=${T.join.nameHint} id="name"><input id="name" autocomplete="name" required maxlength="80" value=${name} aria-describedby="name-hint" onInput=${(e) => set({ name: e.target.value })} /><//>
    <p><label class="check"><input type="checkbox" checked=${isKept} onChange=${(e) => set({ isKept: e.target.checked })} /> ${T.join.keep}</label></p>
    <button class="first" disabled=${isBusy}>${T.join.press}</button></form><//>
    <details><summary>${T.join.or}</summary><form onSubmit=${enter}>
    <${Field} label=${T.join.token} hint=${T.join.tokenHint} id="token"><input id="token" type="password" autocomplete="off" required value=${word} aria-describedby="token-hint" onInput=${(e) => setWord(e.target.value)} /><//>
    <button disabled=${isBusy}>${T.join.enter}</button></form></details></div>`;
}
