// What several views need: who I am, and the rigs. Kept up to date by events.
import { signal } from "./html.js";
import { get, path } from "./api.js";
import { listen, soon } from "./live.js";

export const me = signal(null);
export const rigs = signal([]);
const known = new Map();

export async function load() {
  me.value = await get("/v1/me");
  rigs.value = (await get("/v1/rigs?grids=steps")).items;
}

export async function rigOf(name, isFresh) {
  if (!known.has(name) || isFresh) known.set(name, await get(`${path("rigs", name)}?grids=steps`));
  return known.get(name);
}

const again = soon(async () => { rigs.value = (await get("/v1/rigs?grids=steps")).items; }, 400);
const meAgain = soon(async () => { me.value = await get("/v1/me"); }, 400);
listen((event) => {
  if (event.kind.startsWith("rig.") || event.kind.startsWith("experiment.")) again();
  if (event.kind.startsWith("experiment.")) meAgain();
});

export const may = (scope) => Boolean(me.value?.scopes.includes(scope));
export const isInstructor = () => me.value?.role === "instructor";
export const isWatching = () => me.value && !may("run:sim") && !may("admin");
