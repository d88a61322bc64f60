// The REST API. The dashboard's login cookie authenticates the user there; at the module's own server
// an API key does, which is kept for this tab only.

import { encoded } from "./escape.js";

const BASE = new URL("../../api/block/migration", import.meta.url).href;
const KEY = "rbd-migration-key";
const TIMEOUT = 30000;

// The API refused a request. ``detail`` is a sentence for people, ``code`` an errno's name or "".
export class Refusal extends Error {
  constructor(status, detail, code) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

// Nobody is logged in. ``wantsKey``: this server takes API keys; otherwise it is the dashboard.
export class NotLoggedIn extends Error {
  constructor(wantsKey) {
    super("You are not logged in.");
    this.wantsKey = wantsKey;
  }
}

// There was no answer.
export class Unreachable extends Error {}

export const key = {
  known: () => sessionStorage.getItem(KEY) !== null,
  keep: (text) => sessionStorage.setItem(KEY, text),
  forget: () => sessionStorage.removeItem(KEY),
};

// The path of a target, whose slashes are encoded.
export function at(target) {
  return `/at/${encoded(target)}`;
}

export const get = async (path, query) => (await ask("GET", path, { query })).body;
export const post = async (path, body) => (await ask("POST", path, { body: body ?? {} })).body;
export const put = async (path, body) => (await ask("PUT", path, { body })).body;
export const remove = async (path, query) => (await ask("DELETE", path, { query })).body;

// A page of migrations, and the number of all; with the path "/history" of those that have ended.
export async function list(query, path = "") {
  const { body, headers } = await ask("GET", path, { query });
  return { items: body, total: Number(headers.get("X-Total-Count") ?? body.length) };
}

// A file: its content, and the name that the manager gives it.
export async function download(path, query) {
  const response = await answered("GET", path, { query });
  const named = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "");
  try {
    return { content: await response.blob(), name: named?.[1] ?? "export" };
  } catch {
    throw new Unreachable("The file could not be read.");
  }
}

// Pools, their namespaces and their images.
export const places = {
  pools: () => get("/pool"),
  images: (pool, namespace, search) => get("/image", { pool, namespace, search }),
};

// The same action on several targets. Answers {done, refused, left}, within some ten seconds.
export const bulk = (action, targets) => post("/bulk", { action, targets });

// Hooks. ``veto``: why not, for a question that a hook put off; without it the answer is yes.
const hookAt = (name) => `/hook/${encoded(name)}`;
export const hooks = {
  list: () => get("/hook"),
  add: (given) => post("/hook", given),
  test: (name) => post(`${hookAt(name)}/test`),
  remove: (name) => remove(hookAt(name)),
  done: (target, name, veto) => post(`${at(target)}/hook`, { hook: name, veto }),
};

// Plans. ``text`` is a plan file; ``action`` is start, pause, resume, retry or cancel.
const planAt = (name) => `/plan/${encoded(name)}`;
export const plans = {
  list: () => get("/plan"),
  get: (name) => get(planAt(name)),
  // What a plan file says: {definition, problem}; nothing is kept.
  read: (text) => post("/plan-file", { file: text }),
  create: (text) => post("/plan", { file: text }),
  apply: (text) => put("/plan", { file: text }),
  check: (name) => post(`${planAt(name)}/check`),
  act: (name, action) => post(`${planAt(name)}/${action}`),
  report: (name) => `${planAt(name)}/report`, // the path of a file
  skip: (name, image) => post(`${planAt(name)}/skip`, { image }),
  // Begins the commits and answers {done, refused, left}, in one request of at most ten seconds.
  commit: (name) => post(`${planAt(name)}/commit`),
  // How many of its migrations that commits.
  toCommit: async (name) => (await list({ plan: name, state: "executed,cut-over,verifying,verified", goal: "prepared,executed,cut-over,verified", limit: 1 })).total,
  remove: (name) => remove(planAt(name)),
};
// The permissions that views ask for; ``apply`` needs that of ``act``, the others the one to read. A check
// reads the sources of imports, so it needs the permission to create them.
export const PLAN_RIGHTS = { create: "create", check: "create", start: "create", act: "update", remove: "delete" };

async function ask(method, path, given) {
  const response = await answered(method, path, given);
  return { body: await content(response), headers: response.headers };
}

// A response without an error; its body is still to be read.
async function answered(method, path, { query, body }) {
  const headers = { Accept: "application/vnd.ceph.api.v1.0+json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key.known()) headers.Authorization = `Bearer ${sessionStorage.getItem(KEY)}`;
  const response = await send(address(path, query), {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    credentials: "same-origin",
    cache: "no-store",
    signal: AbortSignal.timeout(TIMEOUT),
  });
  if (response.status === 401) {
    throw new NotLoggedIn((response.headers.get("WWW-Authenticate") ?? "").startsWith("Bearer"));
  }
  if (!response.ok) {
    const answer = await content(response);
    throw new Refusal(response.status, answer?.detail ?? `The manager answered ${response.status}.`, answer?.code ?? "");
  }
  return response;
}

function address(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(given).toString();
  return BASE + path + (text ? `?${text}` : "");
}

async function send(url, options) {
  try {
    return await fetch(url, options);
  } catch {
    throw new Unreachable("The manager does not answer.");
  }
}

async function content(response) {
  try {
    const text = await response.text();
    return text ? JSON.parse(text) : null;
  } catch {
    if (response.ok) throw new Unreachable("The manager's answer could not be read.");
    return null;
  }
}
