// Requests to the service: the token, idempotency keys, pages, and what is said about a request that fails.
import { signal } from "./html.js";

const KEPT = "frugaltwin-token";
const read = (store) => { try { return store.getItem(KEPT); } catch { return null; } };

export const token = signal(read(sessionStorage) || read(localStorage));

export function keep(word, isForLater) {
  try {
    sessionStorage.removeItem(KEPT);
    localStorage.removeItem(KEPT);
    if (word) (isForLater ? localStorage : sessionStorage).setItem(KEPT, word);
  } catch { /* a browser that keeps nothing: the token lasts as long as the page */ }
  token.value = word;
}

export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `the service answered ${status}`);
    this.status = status;
    this.problem = problem;
  }
}

export class Unreachable extends Error {}

// 128 random bits. crypto.randomUUID is only there over HTTPS, which a lab in a classroom seldom has.
export const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");

export async function request(method, path, { body, key, text, headers = {}, signal: ends } = {}) {
  const words = { ...headers };
  if (token.value) words.Authorization = `Bearer ${token.value}`;
  if (body !== undefined) words["Content-Type"] = "application/json";
  if (key) words["Idempotency-Key"] = key;
  let answer;
  try {
    answer = await fetch(path, { method, headers: words, body: body === undefined ? undefined : JSON.stringify(body), signal: ends, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable("the service cannot be reached");
  }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    if (answer.status === 401 && token.value) keep(null);
    throw new Refusal(answer.status, problem);
  }
  if (answer.status === 204) return null;
  return text ? answer.text() : answer.json();
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// A request with a key is done once however often it is sent: so one that was not answered is sent again, until it is.
export async function once(method, path, body, key = newKey()) {
  for (let wait = 500; ; wait = Math.min(wait * 2, 5000)) {
    try {
      return await request(method, path, { body, key });
    } catch (error) {
      if (!(error instanceof Unreachable) && !(error instanceof Refusal && error.status === 503)) throw error;
      await pause(wait);
    }
  }
}

export const get = (path, more) => request("GET", path, more);

export async function all(path, most = 2000) {
  const items = [];
  for (let cursor = ""; ; ) {
    const page = await get(`${path}${path.includes("?") ? "&" : "?"}limit=200${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    items.push(...page.items);
    cursor = page.next;
    if (!cursor || items.length >= most) return items;
  }
}

export const path = (...parts) => `/v1/${parts.map(encodeURIComponent).join("/")}`;
