// A world for tests of roost.js and renew.js: virtual time, tabs of one browser, and a server whose every move a test decides.
import { readFileSync } from "node:fs";

// A module as a function of the globals that it uses, so that each tab has its own.
const names = ["globalThis", "console", "setTimeout", "clearTimeout", "Date", "Math", "navigator", "BroadcastChannel"];
function loader(file, members) {
  const source = readFileSync(new URL(file, import.meta.url), "utf8").replace(/^export /gm, "");
  return new Function(...names, `"use strict"; ${source}\nreturn { ${members} };`);
}
const loaders = [loader("../roost.js", "connect, SessionOver"), loader("../renew.js", "renewing, keepRenewed")];

export const token = "head.body.sign";
const longest = 2 ** 31 - 1; // milliseconds: a timer of more ends at once, as in browsers

// turn lets everything run that waits for no time.
export async function turn() {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
}

export class World {
  now = Date.parse("2026-01-01T00:00:00Z");
  timers = new Map(); // id → { at, f, tab }
  sockets = []; // all that were ever opened
  locks = new Locks();
  channels = new Set();
  lag = 0; // of what tabs tell each other: locks are handed on another way, and may overtake it
  #ids = 0;
  #passes = 0;

  // accepts says what a new socket does: by default it opens 10 ms later.
  accepts = (socket) => this.after(10, () => socket.open());

  after(ms, f, tab) {
    const id = ++this.#ids;
    this.timers.set(id, { at: this.now + Math.max(0, ms), f, tab });
    return id;
  }

  // pass lets time go by. A frozen tab's timers wait until it thaws.
  async pass(ms) {
    const end = this.now + ms;
    await turn();
    if (++this.#passes > 100_000) throw new Error("time passes for ever");
    for (let fired = 0; ; fired++) {
      const [id, next] = this.#next(end);
      if (!next) break;
      if (fired > 100_000) throw new Error(`timers for ever: ${next.f}`);
      this.timers.delete(id);
      this.now = Math.max(this.now, next.at);
      next.f();
      await turn();
    }
    this.now = end;
    await turn();
  }

  #next(end) {
    let first = [];
    for (const [id, timer] of this.timers) {
      if (timer.at <= end && !timer.tab?.frozen && (!first[1] || timer.at < first[1].at)) first = [id, timer];
    }
    return first;
  }

  // sleep lets time go by for nobody: the machine sleeps.
  sleep(ms) { this.now += ms; }

  get socket() { return this.sockets.at(-1); }
  get open() { return this.sockets.filter((s) => s.readyState < 2).length; }
}

// Tab is a page with roost.js in it.
export class Tab {
  frozen = false; // its timers and its channel
  clamp = 0; // the least that its timers take: browsers do so to hidden tabs
  random = 0.5; // what Math.random says
  reported = [];
  warned = [];
  #heard = new Map(); // type → Set of listeners

  constructor(world, { bare = false } = {}) {
    this.world = world;
    const tab = this;
    const globals = {
      console: { warn: (text) => this.warned.push(text), error: (error) => this.reported.push(error) },
      setTimeout: (f, ms) => world.after(Math.max(ms > longest ? 1 : ms, this.clamp), f, this),
      clearTimeout: (id) => world.timers.delete(id),
      Date: { now: () => world.now },
      Math: { min: Math.min, max: Math.max, floor: Math.floor, random: () => this.random },
    };
    if (!bare) {
      Object.assign(globals, {
        document: { hidden: false },
        reportError: (error) => this.reported.push(error),
        WebSocket: class extends Socket { constructor(url, protocols) { super(tab, url, protocols); } },
        BroadcastChannel: class extends Channel { constructor(name) { super(tab, name); } },
        navigator: { locks: { request: (...a) => world.locks.request(...a) } },
        location: "https://page.example/",
        addEventListener: (type, f) => this.#at(type).add(f),
        removeEventListener: (type, f) => this.#at(type).delete(f),
      });
    }
    this.globals = globals.globalThis = globals;
    for (const load of loaders) Object.assign(this, load(...names.map((name) => globals[name])));
  }

  #at(type) {
    if (!this.#heard.has(type)) this.#heard.set(type, new Set());
    return this.#heard.get(type);
  }

  get listeners() { return [...this.#heard.values()].reduce((n, set) => n + set.size, 0); }
  get timers() { return [...this.world.timers.values()].filter((t) => t.tab === this).length; }

  async fire(type, more) {
    for (const f of [...this.#at(type)]) f({ type, ...more });
    await turn();
  }

  async show(seen) {
    this.globals.document.hidden = !seen;
    await this.fire("visibilitychange");
  }

  // join connects, and writes down what the page is told.
  join(options = {}, url = "wss://roost.example/ws") {
    const roost = this.connect(url, { token: () => token, ...options });
    const log = [];
    roost.on("state", ({ state, code, reason }) => log.push(code ? `${state} ${code} ${reason}` : state));
    roost.on("*", ({ payload }) => log.push(payload));
    roost.on("gap", ({ reason, since }) => log.push(`gap ${reason} ${since}`));
    return Object.assign(roost, { log });
  }
}

class Socket {
  readyState = 0;
  sent = [];
  #heard = new Map(); // type → listeners

  constructor(tab, url, protocols) {
    const { world } = tab;
    Object.assign(this, { tab, world, url, protocols, at: world.now });
    world.sockets.push(this);
    world.accepts(this);
  }

  addEventListener(type, f) { this.#heard.set(type, [...(this.#heard.get(type) ?? []), f]); }
  #fire(type, event) {
    for (const f of this.#heard.get(type) ?? []) f(event);
    this["on" + type]?.(event);
  }

  // The page's actions. Its pings are answered, as long as the socket lives, and its tokens as the test says.
  send(text) {
    this.sent.push(text);
    const { type, token } = JSON.parse(text);
    if (this.dead) return;
    if (type === "ping") this.world.after(10, () => this.says({ type: "pong", ...(this.place && { id: this.place }) }));
    else this.world.after(10, () => this.renews?.(token));
  }
  close(code = 1005, reason = "") {
    if (this.readyState > 1) return;
    this.readyState = 2;
    this.world.after(5, () => this.end(code, reason));
  }

  // The server's actions.
  open() {
    if (this.readyState !== 0) return;
    this.readyState = 1;
    this.#fire("open", {});
  }
  says(message) {
    if (this.readyState === 1) this.#fire("message", { data: typeof message === "string" ? message : JSON.stringify(message) });
  }
  notify(payload, id) {
    this.says({ type: "n", payload, timestamp: new Date(this.world.now).toISOString(), ...(id && { id }) });
  }
  end(code = 1006, reason = "") {
    if (this.readyState === 3) return;
    this.readyState = 3;
    if (code === 1006) this.onerror({}); // outside of browsers it must not go unheard
    this.#fire("close", { code, reason });
  }
}

class Channel {
  constructor(tab, name) {
    Object.assign(this, { tab, name });
    tab.world.channels.add(this);
  }
  postMessage(data) {
    if (!this.tab.world.channels.has(this)) throw new Error("the channel is closed");
    const copy = structuredClone(data);
    for (const other of this.tab.world.channels) {
      if (other === this || other.name !== this.name) continue;
      const arrive = () => { if (!other.tab.frozen && other.tab.world.channels.has(other)) other.onmessage({ data: structuredClone(copy) }); };
      if (this.tab.world.lag) this.tab.world.after(this.tab.world.lag, arrive);
      else queueMicrotask(arrive);
    }
  }
  close() { this.tab.world.channels.delete(this); }
}

// Locks does what the Web Locks API does, as far as roost.js uses it.
class Locks {
  #held = new Map(); // name → { reject }
  #queues = new Map(); // name → [{ grant, … }]

  request(name, { steal, signal }, callback) {
    return new Promise((resolve, reject) => {
      const abort = () => Object.assign(new Error("aborted"), { name: "AbortError" });
      const wish = { grant: async () => {
        const hold = { reject: () => reject(abort()) };
        this.#held.set(name, hold);
        const result = await callback();
        if (this.#held.get(name) !== hold) return;
        this.#held.delete(name);
        this.#queue(name).shift()?.grant();
        resolve(result);
      } };
      if (signal?.aborted) return reject(abort());
      if (steal) {
        this.#held.get(name)?.reject();
        return queueMicrotask(wish.grant);
      }
      if (!this.#held.has(name)) {
        this.#held.set(name, { reject() {} });
        return queueMicrotask(wish.grant);
      }
      this.#queue(name).push(wish);
      signal?.addEventListener("abort", () => {
        const queue = this.#queue(name);
        const i = queue.indexOf(wish);
        if (i < 0) return;
        queue.splice(i, 1);
        reject(abort());
      });
    });
  }

  #queue(name) {
    if (!this.#queues.has(name)) this.#queues.set(name, []);
    return this.#queues.get(name);
  }
}

export function deferred() {
  let settle;
  const promise = new Promise((resolve, reject) => { settle = { resolve, reject }; });
  return { promise, ...settle };
}
