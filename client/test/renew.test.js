// A new token over the open connection, before the old one expires.
import assert from "node:assert/strict";
import test from "node:test";
import { Tab, World, deferred, token, turn } from "./world.js";

// hello is the first message of a server that ends connections with their tokens. Its clock is another one than the page's.
const hello = (seconds) => ({ type: "_hello", payload: { expires: "2001-01-01T00:00:00.000Z", expires_in: seconds } });

// ending has a server whose tokens live for so long; renews is what it does with a new one.
function ending(world, seconds, renews) {
  world.accepts = (s) => world.after(10, () => {
    s.open();
    s.says(hello(seconds));
    s.ends = world.now + seconds * 1_000;
    s.renewed = [];
    s.renews = renews ? () => renews(s) : (given) => {
      s.renewed.push({ at: world.now, given });
      s.ends = world.now + seconds * 1_000;
      s.says({ type: "_auth", payload: { ok: true, expires_in: seconds } });
    };
    const check = () => (world.now < s.ends ? world.after(s.ends - world.now, check) : s.end(4401, "token expired"));
    check();
  });
}

function start(seconds, { renews, token: getToken = () => token, ...options } = {}) {
  const world = new World();
  const tab = new Tab(world);
  const asked = []; // why, and when
  ending(world, seconds, renews);
  const given = (context) => {
    asked.push(context.reason);
    return getToken(context);
  };
  const roost = tab.join(tab.renewing({ token: given, ...options }));
  return { world, tab, roost, asked };
}

test("a token is replaced again and again without a reconnect", async () => {
  let n = 0;
  const { world, tab, roost, asked } = start(600, { token: () => ` a.b.${n++}\n` });
  for (tab.random of [0, 0.5, 0.99, 0.3]) await world.pass(600_000);
  assert.deepEqual(roost.log, ["open"]);
  assert.equal(world.sockets.length, 1);
  const { renewed } = world.socket;
  assert.ok(renewed.length >= 4, String(renewed.length));
  assert.deepEqual(renewed.map(({ given }) => given), renewed.map((_, i) => `a.b.${i + 1}`));
  for (const [i, { at }] of renewed.entries()) {
    const part = (at - (renewed[i - 1]?.at ?? world.socket.at)) / 600_000;
    assert.ok(part > 0.39 && part < 0.81, `after ${part} of its life`);
  }
  assert.deepEqual([...new Set(asked)], ["first", "renew"]);
});

test("where the server ends no connection, or is older, no token is asked for", async () => {
  for (const first of [undefined, { type: "_hello", payload: { id: "m.0" } }]) {
    const { world, roost, asked } = start(600);
    world.accepts = (s) => world.after(10, () => {
      s.open();
      if (first) s.says(first);
      s.notify({ expires_in: 60 }); // a backend's own
    });
    await world.pass(10_000_000);
    assert.deepEqual(asked, ["first"]);
    assert.equal(roost.state, "open");
    assert.equal(world.sockets.length, 1);
  }
});

for (const [why, server, getToken] of [
  ["the server says no", (s) => s.says({ type: "_auth", payload: { ok: false, code: 4401, reason: "token signature wrong" } })],
  ["the server does not answer", () => {}],
  ["the endpoint fails", undefined, () => Promise.reject(new Error("no network"))],
  ["the endpoint throws", undefined, () => { throw new Error("at once"); }],
  ["the endpoint hangs", undefined, () => new Promise(() => {})],
  ["the endpoint gives no token", undefined, () => "<html>eyJ.secret"],
]) {
  test(`where ${why} it is tried again, and the connection comes back as without`, async () => {
    const signals = [];
    const { world, tab, roost, asked } = start(600, { renews: server, token: ({ signal, reason }) => {
      if (reason !== "renew") return token;
      signals.push(signal);
      return getToken?.() ?? token;
    } });
    await world.pass(599_000);
    assert.deepEqual(roost.log, ["open"]);
    const tries = asked.length - 1;
    assert.ok(tries > 2 && tries < 12, `${tries} tries`);
    assert.ok(signals.filter((s) => !s.aborted).length <= 1, "requests left open");
    await world.pass(2_000);
    assert.deepEqual(roost.log, ["open", "waiting 4401 token expired", "connecting", "open", roost.log[4]]);
    assert.deepEqual(asked.slice(tries + 1), ["expired"]);
    assert.ok(signals.every((s) => s.aborted || getToken === undefined || why !== "the endpoint hangs"), "left open");
    assert.ok(tab.warned.length <= 1, "said once");
    assert.ok(!JSON.stringify([tab.warned, tab.reported, roost.log, world.sockets.map((s) => s.sent)]).includes("secret"));
  });
}

test("what came in place of a token is named, and not shown", async () => {
  const response = { status: 200, headers: new Map([["content-type", "text/html; charset=utf-8"]]) };
  for (const [given, kind] of [
    ["<!doctype html><title>secret</title>", "HTML"],
    [" ", "empty"],
    [undefined, "empty"],
    [{ token: "secret" }, "object"],
    ["secret", "string"],
    [response, "a Response (200, text/html; charset=utf-8): return its text"],
  ]) {
    const { world, tab } = start(600, { token: ({ reason }) => (reason === "renew" ? given : token) });
    await world.pass(599_000);
    assert.deepEqual(tab.warned, ["roost: TypeError: roost: token() has to be a JWT, not " + kind]);
  }
});

test("a warning is said once, and not every one is remembered", async () => {
  let n = 0;
  const texts = [1, 1, ...Array.from({ length: 20 }, (_, i) => i + 2), 21, 1];
  const { world, tab } = start(600, { renews: (s) => s.says({ type: "_auth", payload: { ok: false, reason: texts[Math.min(n++, texts.length - 1)], expires_in: 600 } }) });
  while (n < texts.length) await world.pass(500_000);
  const said = tab.warned.map((text) => Number(text.match(/\d+$/)[0]));
  assert.deepEqual(said, [1, ...Array.from({ length: 20 }, (_, i) => i + 2), 1]);
});

test("one that failed may succeed the next time", async () => {
  const results = [() => Promise.reject(new Error("no network")), () => new Promise(() => {})];
  const { world, roost } = start(600, { token: ({ reason }) => (reason === "renew" && results.shift()?.()) || token });
  await world.pass(3_000_000);
  assert.deepEqual(roost.log, ["open"]);
});

test("10,000 pages that came together renew spread over the middle of their time", async () => {
  const world = new World();
  const tab = new Tab(world);
  let seed = 1;
  tab.globals.Math.random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  const perSecond = new Array(1_000).fill(0);
  for (let i = 0; i < 10_000; i++) {
    const listeners = {};
    tab.keepRenewed({ addEventListener: (type, f) => { listeners[type] = f; }, close() {}, send() {} }, () => token);
    listeners.message({ data: JSON.stringify(hello(1_000)) });
  }
  for (const timer of world.timers.values()) perSecond[Math.floor((timer.at - world.now) / 1_000)]++;
  assert.equal(perSecond.slice(400, 800).reduce((a, b) => a + b), 10_000);
  assert.ok(Math.max(...perSecond) < 60, `${Math.max(...perSecond)} in one second, want about 25`);
});

test("a life of months is longer than a timer", async () => {
  const day = 86_400_000;
  const { world, asked } = start(100 * 86_400, { pingAfter: 20 * day, pongWithin: 20 * day });
  await world.pass(39 * day);
  assert.deepEqual(asked, ["first"]);
  await world.pass(42 * day);
  assert.deepEqual(asked, ["first", "renew"]);
});

test("a machine that slept until the token expired comes back, one that woke before renews at once", async () => {
  const { world, tab, roost, asked } = start(600);
  await world.pass(1_000);
  for (const timer of world.timers.values()) if (timer.tab === tab) timer.at += 500_000; // timers stand still in sleep
  world.sleep(500_000);
  await tab.show(true);
  await world.pass(100);
  assert.deepEqual(asked, ["first", "renew"]);
  assert.equal(world.sockets.length, 1);
  world.sleep(3_600_000);
  await world.pass(1_000);
  await tab.show(true);
  await world.pass(1_000);
  assert.equal(roost.state, "open");
  assert.equal(world.sockets.length, 2);
  assert.equal(asked.at(-1), "expired");
});

test("a tab whose timers come once a minute renews in time", async () => {
  const { world, tab, roost } = start(600);
  tab.globals.document.hidden = true;
  tab.clamp = 60_000;
  await world.pass(3_600_000);
  assert.deepEqual(roost.log, ["open"]);
});

test("of tabs that share, the one that has the connection renews", async () => {
  const world = new World();
  ending(world, 600);
  const tabs = [0, 1, 2].map(() => new Tab(world));
  const asked = tabs.map(() => []);
  const pages = tabs.map((tab, i) => tab.join(tab.renewing({ share: true, token: ({ reason }) => { asked[i].push(reason); return token; } })));
  await world.pass(3_600_000);
  assert.deepEqual([...new Set(asked[0])], ["first", "renew"]);
  assert.deepEqual(asked.slice(1), [[], []]);
  pages[0].close();
  await world.pass(3_600_000);
  assert.equal(world.sockets.length, 2);
  assert.ok(asked[1].includes("renew"));
  for (const roost of pages.slice(1)) assert.deepEqual(roost.log.filter((l) => String(l).startsWith("waiting")), []);
});

test("close in the middle aborts, sends nothing and leaves nothing", async () => {
  const late = deferred();
  let signal;
  const { world, tab, roost } = start(600, { token: (context) => {
    if (context.reason !== "renew") return token;
    ({ signal } = context);
    return late.promise;
  } });
  while (!signal) await world.pass(1_000);
  roost.close();
  assert.ok(signal.aborted);
  const sent = world.socket.sent.length;
  late.resolve(token);
  await turn();
  assert.equal(world.socket.sent.length, sent);
  assert.equal(tab.timers + tab.listeners, 0);
  assert.deepEqual(tab.warned, []);
});

test("a page that is put away renews nothing, and begins again with its next connection", async () => {
  const { world, tab, asked } = start(600);
  await world.pass(1_000);
  await tab.fire("pagehide");
  await world.pass(3_600_000);
  assert.deepEqual(asked, ["first"]);
  assert.equal(tab.timers, 0);
  await tab.fire("pageshow");
  await world.pass(600_000);
  assert.deepEqual(asked.slice(0, 3), ["first", "reconnect", "renew"]);
  assert.equal(world.open, 1);
});

test("SessionOver ends for good", async () => {
  const over = (tab) => { throw new tab.SessionOver("signed out"); };
  const world = new World();
  ending(world, 600);
  const tab = new Tab(world);
  const roost = tab.join(tab.renewing({ token: ({ reason }) => (reason === "renew" ? over(tab) : token) }));
  await world.pass(3_600_000);
  assert.deepEqual(roost.log, ["open", "closed 4403 SessionOver: signed out"]);
  assert.equal(world.sockets.length, 1);
  assert.equal(tab.timers + tab.listeners, 0);
});

test("SessionOver closes a WebSocket that is used without connect", () => {
  const tab = new Tab(new World());
  const listeners = {};
  const closed = [];
  const socket = { addEventListener: (type, f) => { listeners[type] = f; }, close: (...why) => closed.push(why), send() {} };
  assert.equal(tab.keepRenewed(socket, () => { throw new tab.SessionOver("é".repeat(100)); }), socket);
  listeners.message({ data: JSON.stringify(hello(600)) });
  tab.world.sleep(599_000);
  listeners.message({ data: "{}" });
  return turn().then(() => {
    assert.equal(closed.length, 1);
    assert.equal(closed[0][0], 4403);
    assert.ok(new TextEncoder().encode(closed[0][1]).length <= 123); // or a browser throws
    assert.equal(tab.timers, 0);
  });
});

test("tokens that are about to expire are not replaced over and over", async () => {
  const { world, asked } = start(6, {});
  await world.pass(60_000); // each lives for 6 s
  assert.ok(asked.length <= 13, `${asked.length} in a minute`);
  const cached = start(600, { renews: (s) => s.says({ type: "_auth", payload: { ok: true, expires_in: Math.floor((s.ends - s.world.now) / 1_000) } }) });
  await cached.world.pass(599_000); // always the same one
  assert.ok(cached.asked.length < 12, `${cached.asked.length} for one that stays the same`);
});

test("what is wrong with the options is for connect to say", () => {
  const tab = new Tab(new World());
  const url = "wss://roost.example/ws";
  for (const [options, words] of [[undefined, /token/], [{}, /token/], [{ token }, /token/], [{ token: () => token, WebSocket: "x" }, /WebSocket/], [{ token: () => token, other: 1 }, /other/]]) {
    assert.throws(() => tab.connect(url, tab.renewing(options)), { name: "TypeError", message: words });
  }
  const bare = new Tab(new World(), { bare: true });
  assert.throws(() => bare.join(bare.renewing({ token: () => token })), /WebSocket has to be a function: servers have none/);
});
