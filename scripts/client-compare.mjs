// Prints the table of scripts/client-compare.sh.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import vm from "node:vm";
import { gzipSync } from "node:zlib";

const root = "bin/compare/node_modules";
const url = "wss://server.example/ws";

// The clients: how one connects, and what its server says when a socket opens and when something comes. expiring is the same
// for a token that expires after a minute, and the message that carries the next one; the packages without it send no such message.
// Names are what a package calls a thing, by which it is found in its files.
const clients = {
  "roost-client": {
    connect: (lib, WebSocket) => lib.connect(url, { token: () => "head.body.sign", WebSocket }),
    answer: (text) => text.includes('"ping"') && '{"type":"pong"}',
    expiring: {
      also: "/renew", by: "`renewing`", sends: '"type":"auth"',
      connect: (lib, WebSocket) => lib.connect(url, lib.renewing({ token: () => "head.body.sign", WebSocket })),
      hello: '{"type":"_hello","payload":{"expires":"2026-01-02T03:04:05.000Z","expires_in":60}}',
      answer: (text) => text.includes('"auth"') ? '{"type":"_auth","payload":{"ok":true,"expires_in":60}}' : text.includes('"ping"') && '{"type":"pong"}',
    },
  },
  centrifuge: {
    connect: (lib, WebSocket) => new lib.Centrifuge(url, { websocket: WebSocket, getToken: async () => "token" }).connect(),
    answer: (text) => text.includes('"connect"') && '{"id":1,"connect":{"client":"c","version":"6","ping":25,"pong":true}}',
    beat: ["{}", 25_000],
    expiring: {
      by: "`getToken`", sends: '"refresh"',
      answer: (text) => JSON.stringify({ id: JSON.parse(text).id, [text.includes('"refresh"') ? "refresh" : "connect"]: { client: "c", version: "6", expires: true, ttl: 60, ping: 25, pong: true } }),
    },
  },
  "reconnecting-websocket": { connect: (lib, WebSocket) => new lib.default(url, [], { WebSocket }) },
  partysocket: { connect: (lib, WebSocket) => new lib.WebSocket(url, [], { WebSocket }) },
  phoenix: {
    connect: (lib, WebSocket) => new lib.Socket(url, { transport: WebSocket }).connect(),
    answer: (text) => {
      const [join, ref, topic, event] = JSON.parse(text);
      return event === "heartbeat" && JSON.stringify([join, ref, topic, "phx_reply", { status: "ok", response: {} }]);
    },
  },
  "pusher-js": {
    connect: (lib) => new (lib.default ?? lib)("key", { cluster: "mt1", forceTLS: true, enabledTransports: ["ws"], disableStats: true }),
    hello: '{"event":"pusher:connection_established","data":"{\\"socket_id\\":\\"1.1\\",\\"activity_timeout\\":120}"}',
    answer: (text) => text.includes("pusher:ping") && '{"event":"pusher:pong","data":{}}',
  },
  "@rails/actioncable": {
    connect: (lib) => lib.createConsumer(url).connect(),
    hello: '{"type":"welcome"}',
    beat: ['{"type":"ping","message":1}', 3000],
  },
  "@anycable/web": {
    also: ["@anycable/core"],
    connect: (lib, WebSocket) => lib.createCable(url, { websocketImplementation: WebSocket }).connect(),
    hello: '{"type":"welcome","sid":"s"}',
    beat: ['{"type":"ping","message":1}', 3000],
  },
};

// What a package has, by what it calls it: what is looked for in its files, and what the table says if that differs.
const found = {
  "a fresh token": { "roost-client": "token(|`token`", centrifuge: "getToken", partysocket: "UrlProvider", "reconnecting-websocket": "UrlProvider", "@anycable/web": "tokenRefresher", "pusher-js": "channelAuthorization", phoenix: "closure(params)|`params`" },
  "ends when the session is over": { "roost-client": "SessionOver", centrifuge: "UnauthorizedError", "@rails/actioncable": "allowReconnect", "@anycable/web": "DisconnectedError", "pusher-js": "code < 4100|codes to 4099" },
  "the server sends what was missed": { "roost-client": "since.|`since`", centrifuge: "recover", "@anycable/web": "historyTimestamp" },
  "fetches what was missed until it succeeds": { "roost-client": "o.sync(|`sync`" },
  "one connection for all tabs": { "roost-client": "BroadcastChannel|`share`" },
  "hooks": { "roost-client": "useRoostState|React, Vue, Svelte", partysocket: "usePartySocket|React" },
};

// Page is a page that is none: timers, sockets and events of its own.
class Page {
  now = 1_700_000_000_000;
  timers = new Map();
  sockets = [];
  listens = new Set();
  handlers = [];
  sent = [];
  silent = false;
  refuses = false;

  constructor(client, script) {
    const page = this;
    Object.assign(this, { client });
    const listen = (type, f) => { if (typeof type === "string") { this.listens.add(type); this.handlers.push([type, f]); } };
    const RealDate = Date;
    class VirtualDate extends RealDate {
      constructor(...a) { super(...(a.length ? a : [page.now])); }
      static now() { return page.now; }
    }
    const after = (f, ms = 0, ...a) => { const id = this.timers.size + 1 + this.sockets.length * 1e6 + Math.random(); this.timers.set(id, [this.now + Math.max(0, ms || 0), () => f(...a)]); return id; };
    const every = (f, ms) => { const id = Symbol(); const again = () => { this.timers.set(id, [this.now + Math.max(1, ms || 0), () => { again(); f(); }]); }; again(); return id; };
    const clear = (id) => this.timers.delete(id);
    const element = () => ({ style: {}, setAttribute() {}, appendChild() {}, insertBefore() {}, parentNode: { removeChild() {} } });
    const globals = {
      setTimeout: after, setInterval: every, clearTimeout: clear, clearInterval: clear, Date: VirtualDate, performance: { now: () => page.now },
      addEventListener: listen, removeEventListener() {}, dispatchEvent() {},
      document: { addEventListener: listen, removeEventListener() {}, visibilityState: "visible", hidden: false, createElement: element, body: element(), getElementsByTagName: () => [element()], head: { querySelector() {} }, location: { protocol: "https:" } },
      navigator: { onLine: true, userAgent: "page" }, location: { protocol: "https:", host: "page.example", hostname: "page.example", href: "https://page.example/", search: "", toString() { return this.href; } },
      console: { log() {}, warn() {}, error() {}, info() {}, debug() {} }, reportError() {},
      queueMicrotask, crypto: globalThis.crypto, URL, URLSearchParams, TextEncoder, TextDecoder, AbortController, Event, EventTarget, MessageEvent, btoa, atob, structuredClone, process: undefined,
      CloseEvent: class extends Event { constructor(type, o = {}) { super(type); Object.assign(this, o); } },
      ErrorEvent: class extends Event { constructor(type, o = {}) { super(type); Object.assign(this, o); } },
      XMLHttpRequest: class { open() {} send() {} setRequestHeader() {} abort() {} },
      WebSocket: this.#socket(),
    };
    globals.window = globals.self = globals;
    this.context = vm.createContext(globals);
    vm.runInContext("globalThis.window = globalThis.self = globalThis", this.context);
    script.runInContext(this.context);
    client.connect(this.context.lib, this.context.WebSocket);
  }

  #socket() {
    const page = this;
    return class WebSocket extends EventTarget {
      static CONNECTING = 0; static OPEN = 1; static CLOSING = 2; static CLOSED = 3;
      CONNECTING = 0; OPEN = 1; CLOSING = 2; CLOSED = 3;
      readyState = 0; bufferedAmount = 0; extensions = ""; binaryType = "blob";
      constructor(url, protocols) {
        super();
        this.protocol = [protocols].flat()[0] ?? "";
        this.url = String(url);
        this.at = page.now;
        page.sockets.push(this);
        page.in(10, () => (page.refuses ? this.end() : this.open()));
      }
      say(type, more) {
        const event = Object.assign(new Event(type), more);
        this["on" + type]?.(event);
        this.dispatchEvent(event);
      }
      open() {
        if (this.readyState !== 0) return;
        this.readyState = 1;
        this.say("open");
        const { hello, beat } = page.client;
        if (hello) this.hear(hello);
        const again = () => { this.hear(beat[0]); if (this.readyState === 1) page.in(beat[1], again); };
        if (beat) page.in(beat[1], again);
      }
      hear(data) { if (this.readyState === 1 && !page.silent) page.in(1, () => this.readyState === 1 && this.say("message", { data })); }
      send(text) {
        page.sent.push(String(text));
        let answer;
        try { answer = page.client.answer?.(String(text)); } catch { /* none */ }
        if (answer) this.hear(answer);
      }
      close() { if (this.readyState < 2) { this.readyState = 2; page.in(5, () => this.end(1000)); } }
      end(code = 1006) {
        if (this.readyState === 3) return;
        this.readyState = 3;
        if (code === 1006) this.say("error");
        this.say("close", { code, reason: "", wasClean: code !== 1006 });
      }
    };
  }

  in(ms, f) { this.timers.set(Symbol(), [this.now + ms, f]); }

  async pass(ms, until = () => false) {
    const end = this.now + ms;
    for (;;) {
      for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
      if (until()) return true;
      let first;
      for (const [id, [at]] of this.timers) if (at <= end && (!first || at < first[1])) first = [id, at];
      if (!first) { this.now = end; return until(); }
      const [, f] = this.timers.get(first[0]);
      this.timers.delete(first[0]);
      this.now = Math.max(this.now, first[1]);
      f();
    }
  }

  get live() { return this.sockets.filter((s) => s.readyState === 1); }
}

const seconds = (ms) => (ms < 950 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1).replace(/\.0$/, "")} s`);

async function observe(name, client, script) {
  // What 100 clients wait after their connection was cut.
  const firsts = [], lasts = [];
  for (let i = 0; i < 100; i++) {
    const page = new Page(client, script);
    if (!await page.pass(5000, () => page.live.length)) throw new Error(name + " does not connect");
    await page.pass(4000); // some wait until it is established
    page.refuses = true;
    const [socket] = page.live, before = page.sockets.length, cut = page.now;
    socket.end();
    await page.pass(120_000, () => page.sockets.length > before);
    firsts.push(page.sockets.length > before ? page.sockets[before].at - cut : Infinity);
    if (i >= 10) continue;
    await page.pass(1_200_000, () => page.sockets.length > before + 12);
    const last = page.sockets.slice(-2);
    lasts.push(last[1].at - last[0].at);
  }
  // How long it takes to notice that nothing comes any more.
  let page = new Page(client, script);
  await page.pass(10_000);
  page.silent = true;
  const silent = page.now, before = page.sockets.length;
  const noticed = await page.pass(900_000, () => page.live.length === 0 || page.sockets.length > before);
  // What it does with the page's life.
  const events = [...page.listens].filter((type) => /hide|show|freeze|resume|visibility|online|offline|unload|focus/.test(type)).sort();
  const after = page.now;
  page = new Page(client, script);
  await page.pass(10_000);
  for (const [type, f] of page.handlers) if (type === "pagehide") (f.handleEvent ?? f).call(page.context, { type, persisted: true });
  await page.pass(100);
  const putAway = page.live.length === 0 ? "closes" : "stays open";
  const range = (all) => {
    const low = Math.min(...all), high = Math.max(...all);
    return high - low < 20 ? seconds(high) : `${seconds(low)} – ${seconds(high)}`;
  };
  return {
    "wait after the first cut, 100 clients": range(firsts),
    "wait after the twelfth failure": range(lasts),
    "a dead connection is noticed after": noticed ? seconds(after - silent) : "never",
    "listens to the page": events.join(", ") || "no",
    "a page put away": putAway,
    [renewal]: await renews(name, client),
  };
}

const renewal = "replaces the token of the open connection";

// renews watches a client for three lives of a token.
async function renews(name, { expiring, ...client }) {
  if (!expiring) return "no";
  const lib = [name, expiring.also && name + expiring.also].filter(Boolean);
  const page = new Page({ ...client, ...expiring }, new vm.Script(bundle(lib).code));
  await page.pass(180_000);
  const tokens = page.sent.filter((text) => text.includes(expiring.sends)).length;
  return tokens >= 2 && page.sockets.length === 1 ? expiring.by : "no";
}

function describe(name, { also = [] }) {
  const folder = join(root, name);
  const manifest = JSON.parse(readFileSync(join(folder, "package.json")));
  const own = [name, ...also].map((n) => texts(join(root, n))).join("\n");
  const main = manifest.exports?.["."] ?? manifest.exports;
  const esm = manifest.module || main?.import || manifest.type === "module";
  const entry = join(folder, main?.require?.default ?? main?.require ?? manifest.main ?? "index.js");
  const script = manifest.unpkg || manifest.jsdelivr || existsSync(join(folder, "dist/web/pusher.min.js")) || /typeof define/.test(readFileSync(entry));
  const types = manifest.types || manifest.typings || main?.types || main?.import?.types || existsSync(join(folder, "index.d.ts"));
  const cells = {
    version: manifest.version,
    "size, minified and gzipped": `${(bundle(name, "--minify").gzipped / 1000).toFixed(1)} kB`,
    "dependencies": String(Object.keys(manifest.dependencies ?? {}).length),
    "its own types": types ? "yes" : "no",
    formats: [esm && "ESM", (main?.require || manifest.main) && manifest.type !== "module" | Boolean(main?.require) && "CommonJS", script && "script tag"].filter(Boolean).join(", "),
  };
  for (const [row, names] of Object.entries(found)) {
    const [needle, label] = (names[name] ?? "").split("|");
    cells[row] = needle && own.includes(needle) ? label ?? `\`${needle}\`` : "no";
  }
  return cells;
}

function texts(folder) {
  return readdirSync(folder, { withFileTypes: true }).filter((f) => f.name !== "node_modules" && f.name !== "test").map((f) => {
    const path = join(folder, f.name);
    if (f.isDirectory()) return texts(path);
    return /\.(m?js|cjs|d\.ts)$/.test(f.name) ? readFileSync(path, "utf8") : "";
  }).join("\n");
}

function bundle(names, ...flags) {
  const entry = `bin/compare/entry.js`;
  const imports = [names].flat().map((name, i) => `import * as lib${i} from ${JSON.stringify(name)};`);
  writeFileSync(entry, `${imports.join("")} globalThis.lib = ${imports.length > 1 ? `{ ${imports.map((_, i) => `...lib${i}`)} }` : "lib0"};`);
  const code = execFileSync("bin/compare/esbuild", [entry, "--bundle", "--format=iife", "--platform=browser", "--log-level=error", "--legal-comments=none", ...flags], { maxBuffer: 1 << 26 });
  return { code: code.toString(), gzipped: gzipSync(code, { level: 9 }).length };
}

const only = process.argv[2];
const columns = [];
for (const [name, client] of Object.entries(clients)) {
  if (only && name !== only) continue;
  const script = new vm.Script(bundle(name).code);
  console.error(name);
  columns.push({ name, cells: { ...describe(name, client), ...(await observe(name, client, script)) } });
}
const order = ["version", "size, minified and gzipped", "dependencies", "its own types", "formats", "wait after the first cut, 100 clients", "wait after the twelfth failure",
  "a dead connection is noticed after", "listens to the page", "a page put away", ...Object.keys(found).flatMap((row) => (row === "a fresh token" ? [row, renewal] : row))];
console.log(`| | ${columns.map((c) => c.name).join(" | ")} |`);
console.log(`|---|${columns.map(() => "---|").join("")}`);
for (const row of order) console.log(`| ${row} | ${columns.map((c) => c.cells[row]).join(" | ")} |`);
process.exit();
