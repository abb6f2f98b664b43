// The page's side: listeners, iteration, arguments, and how a page comes and goes.
import assert from "node:assert/strict";
import test from "node:test";
import { Tab, World, deferred, token, turn } from "./world.js";

async function open(options, url) {
  const world = new World();
  const tab = new Tab(world);
  const roost = tab.join(options, url);
  await world.pass(1000);
  return { world, tab, roost };
}

// --- Listeners ---

test("several listeners, by type and for all", async () => {
  const { world, roost } = await open();
  const got = [];
  const off = roost.on("n", () => got.push("first"));
  roost.on("n", () => got.push("second"));
  roost.on("other", () => got.push("other"));
  roost.on("toString", () => got.push("toString"));
  world.socket.notify(1);
  await turn();
  off();
  off();
  for (const type of ["other", "toString", "constructor", "*"]) world.socket.says({ type, payload: type });
  world.socket.notify(2);
  await turn();
  assert.deepEqual(got, ["first", "second", "other", "toString", "second"]);
  assert.deepEqual(roost.log, ["open", 1, "other", "toString", "constructor", "*", 2]);
});

test("the same function may listen twice, and stop once", async () => {
  const { world, roost } = await open();
  let n = 0;
  const f = () => n++;
  const off = roost.on("n", f);
  roost.on("n", f);
  off();
  world.socket.notify(1);
  await turn();
  assert.equal(n, 1);
});

test("what a backend calls state or gap is a notification for * only", async () => {
  const { world, roost } = await open();
  world.socket.says({ type: "state", payload: "s" });
  world.socket.says({ type: "gap", payload: "g" });
  await turn();
  assert.deepEqual(roost.log, ["open", "s", "g"]);
});

test("an exception in a listener is reported and changes nothing", async () => {
  const world = new World();
  const tab = new Tab(world);
  const roost = tab.join({ sync: () => {} });
  for (const type of ["state", "n", "gap", "*"]) {
    roost.on(type, () => { throw new Error("thrown " + type); });
    roost.on(type, async () => { throw new Error("rejected " + type); });
    roost.on(type, () => Promise.reject(undefined));
  }
  await world.pass(1000);
  world.socket.notify(1);
  world.socket.says({ type: "_gap", payload: { reason: "redis", since: "s" } });
  await turn();
  world.socket.notify(2);
  await turn();
  assert.deepEqual(roost.log.filter((l) => typeof l === "number"), [1, 2]);
  assert.equal(world.sockets.length, 1);
  assert.deepEqual([...new Set(tab.reported.filter(Boolean).map((e) => e.message))].sort(), [
    "rejected *", "rejected gap", "rejected n", "rejected state", "thrown *", "thrown gap", "thrown n", "thrown state"]);
});

test("a listener may close: it hears of nothing else", async () => {
  const { world, roost } = await open();
  roost.on("n", () => roost.close());
  world.socket.notify(1);
  world.socket.notify(2);
  await world.pass(1000);
  assert.deepEqual(roost.log, ["open", 1, "closed 1000 closed by the page"]);
  assert.equal(world.open, 0);
});

test("no callback before connect has returned", async () => {
  const world = new World();
  const tab = new Tab(world);
  let returned = false;
  const early = () => { assert.ok(returned); return token; };
  const roost = tab.connect("wss://roost.example/ws", { token: early, sync: early });
  roost.on("state", early);
  returned = true;
  await world.pass(1000);
  assert.deepEqual(tab.reported, []);
  assert.equal(roost.state, "open");
});

test("signal closes it", async () => {
  const abort = new AbortController();
  const { world, roost } = await open({ signal: abort.signal });
  abort.abort();
  await world.pass(1000);
  assert.equal(roost.state, "closed");
  assert.equal(world.open, 0);
  const { world: never, roost: dead } = await open({ signal: abort.signal });
  assert.equal(dead.state, "closed");
  assert.equal(never.sockets.length, 0);
});

// --- Iteration ---

test("iterates until it is closed", async () => {
  const { world, roost } = await open();
  const got = [];
  const done = (async () => { for await (const { payload } of roost) got.push(payload); got.push("end"); })();
  await turn();
  for (const n of [1, 2]) world.socket.notify(n);
  await turn();
  world.socket.end();
  await world.pass(5000);
  world.socket.notify(3);
  await turn();
  roost.close();
  await done;
  assert.deepEqual(got, [1, 2, 3, "end"]);
  for await (const n of roost) assert.fail(n); // it is closed
});

test("leaving the loop stops listening; a loop that lags is told of the gap", async () => {
  const { world, roost } = await open();
  const go = deferred();
  const got = [];
  const done = (async () => {
    for await (const { payload } of roost) {
      got.push(payload);
      if (payload === 0) await go.promise;
      if (payload === "last") break;
    }
  })();
  await turn();
  let lost; // the timestamp of the first that it has not got
  for (let i = 0; i < 1500; i++) {
    lost ??= i === 1 ? new Date(world.now).toISOString() : undefined;
    world.socket.notify(i);
    if (i < 2) await world.pass(10);
  }
  await turn();
  go.resolve();
  await turn();
  world.socket.notify("last");
  await done;
  for (let i = 0; i < 1500; i++) world.socket.notify(i); // nobody keeps them
  await turn();
  assert.deepEqual(roost.log.filter((l) => String(l).startsWith("gap")), [`gap overflow ${lost}`]);
  // Messages that were queued when there were too many are gone, later ones are there.
  assert.equal(got[0], 0);
  assert.deepEqual(got.slice(1), [...Array(got.length - 2).keys()].map((i) => i + 1500 - got.length + 2).concat("last"));
  assert.ok(got.length > 400);
});

// --- Arguments ---

test("wrong arguments throw at once, in words", () => {
  const tab = new Tab(new World());
  const good = { token: () => token };
  const url = "wss://roost.example/ws";
  for (const [arguments_, words] of [
    [[], /token has to be a function/],
    [[url], /token has to be a function/],
    [[url, () => token], /token has to be a function/], // as it was before 1.0
    [[url, { token }], /token has to be a function/],
    [[undefined, good], /url has to be like wss:/],
    [["roost.example/ws", good], /url/], [["localhost:8081/ws", good], /url/], [["ftp://roost.example", good], /url/], [["wss://a/ws#x", good], /url/],
    [["wss://", good], /URL/],
    [[url, { ...good, onOpen() {} }], /onOpen has to be left out/],
    [[url, { ...good, sync: true }], /sync has to be a function/],
    [[url, { ...good, share: 5 }], /share has to be a boolean or a string/],
    [[url, { ...good, id: "x" }], /id has to be a boolean/],
    [[url, { ...good, signal: "x" }], /signal has to be an object/],
    [[url, { ...good, WebSocket: "x" }], /WebSocket has to be a function/],
    ...[0, -1, NaN, Infinity, "5", 2 ** 31].map((baseDelay) => [[url, { ...good, baseDelay }], /baseDelay has to be a number above 0/]),
  ]) assert.throws(() => tab.connect(...arguments_), { name: "TypeError", message: words }, String(words));
  const roost = tab.connect(url, { ...good, sync: undefined, baseDelay: undefined, share: undefined, signal: undefined });
  assert.throws(() => roost.on("n"), /listener has to be a function/);
  roost.close();
});

test("an address may be relative, and of http", async () => {
  for (const [url, want] of [["/ws", "wss://page.example/ws"], ["https://a.example/ws?x=1", "wss://a.example/ws?x=1"],
    ["http://a.example/ws", "ws://a.example/ws"], [new URL("wss://a.example/ws"), "wss://a.example/ws"]]) {
    const { world } = await open({}, url);
    assert.equal(world.socket.url, want);
  }
});

test("without a WebSocket it is an error, and no loop", async () => {
  const world = new World();
  const bare = new Tab(world, { bare: true });
  assert.throws(() => bare.join(), /WebSocket has to be a function: servers have none/);
  const { WebSocket } = new Tab(world).globals;
  const roost = bare.join({ WebSocket, share: true }); // and nothing else that a page has
  await world.pass(1000);
  assert.deepEqual(roost.log, ["open"]);
  roost.on("state", () => { throw new Error("x"); });
  roost.close();
  await turn();
  assert.deepEqual(bare.reported.map(String), ["Error: x"]);
});

// --- What the browser forbids ---

test("mixed content ends it at once, with the reason", async () => {
  const refuse = class { constructor() { throw Object.assign(new Error("insecure"), { name: "SecurityError" }); } };
  const { world, roost } = await open({ WebSocket: refuse });
  await world.pass(100_000);
  assert.deepEqual(roost.log, ["closed 1008 SecurityError: insecure"]);
});

test("a Content-Security-Policy ends it at once, with the reason", async () => {
  const { world, tab, roost } = await open();
  for (const other of [
    { disposition: "report", blockedURI: "wss://roost.example/ws" },
    { disposition: "enforce", blockedURI: "https://roost.example/token" },
    { disposition: "enforce", blockedURI: "inline" },
    { disposition: "enforce", blockedURI: "" },
  ]) await tab.fire("securitypolicyviolation", other);
  assert.equal(roost.state, "open");
  world.socket.end();
  await tab.fire("securitypolicyviolation", { disposition: "enforce", blockedURI: "wss://roost.example/ws" });
  await world.pass(100_000);
  assert.equal(roost.log.at(-1), "closed 1008 Content-Security-Policy");
  assert.equal(world.sockets.length, 1);
});

// --- The life of a page ---

for (const [away, back] of [["pagehide", "pageshow"], ["freeze", "resume"]]) {
  test(`${away} closes the connection, ${back} opens it at once`, async () => {
    const { world, tab, roost } = await open();
    tab.random = 1;
    await tab.fire(away);
    assert.equal(roost.log.at(-1), "waiting 1001 away");
    await world.pass(1_000_000);
    assert.equal(world.open, 0);
    assert.equal(tab.timers, 0);
    await tab.show(true); // which is said before it is back
    assert.equal(world.sockets.length, 1);
    await tab.fire(back);
    assert.equal(world.sockets.length, 2);
    await world.pass(300);
    assert.deepEqual(roost.log.slice(-2), ["open", "gap reconnect undefined"]);
    await tab.fire(back); // nothing new
    assert.equal(world.sockets.length, 2);
    await tab.fire(away);
    roost.close();
    await tab.fire(back);
    await world.pass(1000);
    assert.equal(world.open + tab.timers + tab.listeners, 0);
  });
}

test("who looks at the page does not wait for a random time", async () => {
  for (const event of ["visibilitychange", "online"]) {
    const { world, tab, roost } = await open();
    tab.random = 1;
    world.accepts = (s) => world.after(10, () => s.end());
    world.socket.end(1012);
    await world.pass(35_000); // several attempts: the next is far off
    assert.equal(roost.state, "waiting");
    const before = world.sockets.length;
    await tab.fire(event);
    assert.equal(world.sockets.length, before + 1);
    // It fails again. A page that asks again and again gets an attempt a second.
    for (let i = 0; i < 20; i++) {
      await world.pass(100);
      await tab.fire(event);
    }
    assert.ok(world.sockets.length <= before + 3, String(world.sockets.length - before));
    tab.globals.document.hidden = true;
    await world.pass(5000);
    const unseen = world.sockets.length;
    await tab.fire(event);
    assert.equal(world.sockets.length, unseen);
  }
});

test("who looks right after a failure waits a second at most", async () => {
  const { world, tab } = await open();
  tab.random = 1;
  world.socket.end(1012);
  await world.pass(500);
  await tab.show(true);
  await world.pass(1001);
  assert.equal(world.sockets.length, 2);
});

test("who comes back to a dead connection waits three seconds, not ten and a random time", async () => {
  const { world, tab, roost } = await open();
  tab.random = 1;
  world.socket.dead = true;
  await tab.show(true);
  await tab.show(true);
  assert.equal(world.socket.sent.length, 1);
  await world.pass(3001);
  assert.equal(world.sockets.length, 2);
  await world.pass(300);
  assert.deepEqual(roost.log.slice(1), ["waiting 1006 no answer to a ping", "connecting", "open", "gap reconnect undefined"]);
  // One that lives is asked, and stays.
  await tab.show(true);
  await world.pass(10_000);
  assert.equal(world.sockets.length, 2);
});

test("what the user waits for is tried at once only once", async () => {
  const { world, tab } = await open();
  tab.random = 1;
  world.socket.dead = true;
  world.accepts = (s) => world.after(10, () => s.end());
  await tab.show(true);
  await world.pass(7000);
  assert.equal(world.sockets.length, 2);
});
