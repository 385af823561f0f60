// One stream of events for the whole page. It is read with fetch, because EventSource cannot send a token, and goes on by the id of the last
// event, so that nothing is missed and nothing comes twice.
import { signal } from "./html.js";
import { get, token } from "./api.js";

export const lostSince = signal(null);
const listeners = new Set();
let ends = null;
let last = 0;

export function listen(heard) {
  listeners.add(heard);
  return () => listeners.delete(heard);
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

export async function begin(whenBack) {
  end();
  const mine = (ends = new AbortController());
  last = 0;
  let isFirst = true;
  for (let wait = 500; !mine.signal.aborted; wait = Math.min(wait * 2, 4000)) {
    try {
      if (!last) last = Number((await get("/v1/events?limit=1")).next);
      const answer = await fetch("/v1/events", {
        headers: { Authorization: `Bearer ${token.value}`, Accept: "text/event-stream", "Last-Event-ID": String(last) },
        signal: mine.signal,
        cache: "no-store",
      });
      if (answer.status === 401) return;
      if (!answer.ok) throw new Error(String(answer.status));
      if (lostSince.value || isFirst) whenBack(isFirst);
      lostSince.value = null;
      isFirst = false;
      wait = 250;
      await read(answer.body.getReader());
    } catch {
      if (mine.signal.aborted || !token.value) return;
    }
    lostSince.value ??= Date.now();
    await pause(wait);
  }
}

async function read(reader) {
  const decoder = new TextDecoder();
  for (let text = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) return;
    text += decoder.decode(value, { stream: true });
    const blocks = text.split("\n\n");
    text = blocks.pop();
    const events = blocks.map((block) => block.split("\n").find((line) => line.startsWith("data:"))).filter(Boolean);
    for (const line of events) {
      const event = JSON.parse(line.slice(5));
      if (event.id <= last) continue;
      last = event.id;
      for (const heard of listeners) heard(event);
    }
  }
}

export function end() {
  ends?.abort();
  ends = null;
  lostSince.value = null;
}

// Asks for something again soon, once for many events that come together.
export function soon(ask, ms = 150) {
  let waits = null;
  let isAsking = false;
  let again = false;
  const now = async () => {
    waits = null;
    if (isAsking) { again = true; return; }
    isAsking = true;
    try { await ask(); } catch { /* it is asked again at the next event, or when the service is back */ }
    isAsking = false;
    if (again) { again = false; start(); }
  };
  const start = () => { waits ??= setTimeout(now, ms); };
  return start;
}
window.addEventListener("offline", () => { lostSince.value ??= Date.now(); });
