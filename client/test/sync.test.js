// Missed notifications: sync, gaps, and going on where the server can.
import assert from "node:assert/strict";
import test from "node:test";
import { Tab, World, deferred, token, turn } from "./world.js";

const iso = (world) => new Date(world.now).toISOString();

// start connects with a sync that does what answers says, in order, and then succeeds.
function start({ answers = [], ...options } = {}) {
  const world = new World();
  const tab = new Tab(world);
  const calls = [];
  const roost = tab.join({
    sync(context) {
      calls.push(context);
      roost.log.push(`sync ${context.reason} ${context.since}`);
      return answers.shift()?.();
    },
    ...options,
  });
  return { world, tab, roost, calls };
}

test("sync is called when it opens and after each absence, with the time of the last notification", async () => {
  const { world, roost } = start();
  await world.pass(1000);
  world.socket.notify(1);
  const since = iso(world);
  await world.pass(1000);
  world.socket.end();
  await world.pass(5000);
  assert.deepEqual(roost.log, ["open", "sync first undefined", 1, "waiting 1006 ", "connecting", "open", `gap reconnect ${since}`, `sync reconnect ${since}`]);
  world.socket.says({ type: "_gap", payload: { reason: "redis", since: iso(world) } });
  await turn();
  assert.equal(roost.log.at(-1), `sync redis ${since}`);
});

test("since is what the server says where a later notification came before its notice", async () => {
  const { world, roost } = start();
  await world.pass(1000);
  const lost = iso(world);
  await world.pass(1000);
  world.socket.notify(1);
  world.socket.says({ type: "_gap", payload: { reason: "redis", since: lost } });
  await turn();
  assert.deepEqual(roost.log.slice(-2), [`gap redis ${lost}`, `sync redis ${lost}`]);
  world.socket.notify(2);
  const since = iso(world);
  await world.pass(1000);
  world.socket.end();
  await world.pass(5000);
  assert.equal(roost.log.at(-1), `sync reconnect ${since}`); // the gap was filled
});

test("a sync that fails is repeated for all gaps, since the earliest", async () => {
  const fails = () => Promise.reject(new Error("backend down"));
  const { world, tab, calls } = start({ answers: [fails, undefined, fails] });
  tab.random = 1;
  await world.pass(20);
  const before = iso(world);
  world.socket.says({ type: "_gap", payload: { reason: "redis", since: before } });
  await world.pass(10_000);
  assert.deepEqual(calls.map((c) => [c.reason, c.since]), [["first", undefined], ["first", undefined]]); // of which the first is all there is
  world.socket.notify(1);
  await world.pass(1000);
  world.socket.says({ type: "_gap", payload: { reason: "slow_consumer", since: iso(world) } });
  world.socket.says({ type: "_gap", payload: { reason: "redis", since: before } });
  await world.pass(10_000);
  assert.equal(calls.length, 4);
  assert.equal(calls[3].since, before);
});

test("without a notification since is what the server says", async () => {
  const { world, roost } = start();
  await world.pass(1000);
  world.socket.says({ type: "_gap", payload: { reason: "slow_consumer", since: "2026-01-01T00:00:00.5Z" } });
  await turn();
  assert.deepEqual(roost.log.slice(-2), ["gap slow_consumer 2026-01-01T00:00:00.5Z", "sync slow_consumer 2026-01-01T00:00:00.5Z"]);
});

test("a notification that is the first thing to come waits too", async () => {
  const first = deferred();
  const { world, roost } = start({ answers: [() => first.promise] });
  world.accepts = (s) => world.after(10, () => { s.open(); s.notify(1); });
  await world.pass(50);
  assert.deepEqual(roost.log, ["open", "sync first undefined"]);
  first.resolve();
  await turn();
  assert.equal(roost.log.at(-1), 1);
});

test("notifications wait until sync has succeeded, one sync at a time", async () => {
  const first = deferred();
  const { world, roost, calls } = start({ answers: [() => first.promise] });
  await world.pass(1000);
  for (const n of [1, 2]) world.socket.notify(n);
  world.socket.says({ type: "_gap", payload: { reason: "redis" } });
  world.socket.says({ type: "_gap", payload: { reason: "redis" } });
  world.socket.notify(3);
  await world.pass(10_000);
  assert.equal(calls.length, 1);
  assert.ok(!roost.log.includes(1));
  first.resolve();
  await turn();
  assert.equal(calls.length, 2); // for both gaps
  assert.deepEqual(roost.log.slice(-4), ["sync redis undefined", 1, 2, 3]);
  world.socket.notify(4);
  await turn();
  assert.equal(roost.log.at(-1), 4);
});

test("sync is tried again with backoff until it succeeds, whatever it throws", async () => {
  const failing = [() => { throw new Error("at once"); }, () => Promise.reject(new Error("later")), () => Promise.reject(undefined)];
  const { world, tab, roost, calls } = start({ answers: failing });
  tab.random = 1;
  const at = [];
  await world.pass(300);
  world.socket.notify(1);
  for (let second = 0; second < 60; second++) {
    at[calls.length] ??= second;
    await world.pass(1000);
  }
  assert.deepEqual(at.slice(1), [0, 4, 12, 28]);
  assert.deepEqual(tab.reported.map(String), ["Error: at once", "Error: later", "undefined"]);
  assert.equal(roost.log.at(-1), 1); // only then
});

test("a sync that hangs is aborted and tried again; closing aborts it too", async () => {
  const { world, tab, roost, calls } = start({ answers: [() => new Promise(() => {}), () => new Promise(() => {})] });
  tab.random = 1;
  await world.pass(60_000);
  assert.equal(calls[0].signal.aborted, false);
  await world.pass(5000);
  assert.equal(calls[0].signal.aborted, true);
  assert.deepEqual(tab.reported, ["roost: sync hangs"]);
  assert.equal(calls.length, 2);
  roost.close();
  await turn();
  assert.equal(calls[1].signal.aborted, true);
  await world.pass(200_000);
  assert.equal(calls.length, 2);
  assert.equal(tab.timers, 0);
});

test("a sync that fails while the connection is lost is called when it is back", async () => {
  const first = deferred();
  const { world, roost, calls } = start({ answers: [() => first.promise] });
  await world.pass(1000);
  world.accepts = () => {};
  world.socket.end();
  first.reject(new Error("no network"));
  await world.pass(15_000);
  assert.equal(calls.length, 1); // nobody to hear what comes meanwhile
  world.accepts = (s) => world.after(10, () => s.open());
  await world.pass(60_000);
  assert.equal(calls.length, 2);
  assert.equal(calls[1].reason, "first"); // the hole is the earlier one
  assert.equal(roost.state, "open");
});

test("too much that waits is let go, and fetched", async () => {
  const first = deferred();
  const { world, roost, calls } = start({ answers: [() => first.promise] });
  await world.pass(1000);
  for (let i = 0; i < 1500; i++) world.socket.notify(i);
  await turn();
  first.resolve();
  await turn();
  assert.equal(calls[1].reason, "overflow");
  assert.equal(calls[1].since, iso(world)); // of the first that is missing
  assert.deepEqual(roost.log.slice(-499), [...Array(499).keys()].map((i) => i + 1001));
  assert.equal(roost.log.filter((l) => String(l).startsWith("gap")).length, 1);
});

test("SessionOver from sync ends for good", async () => {
  const { world, tab, roost, calls } = start({ answers: [() => Promise.reject(new tab2.SessionOver("over"))] });
  const tab2 = new Tab(world);
  await world.pass(100_000);
  assert.equal(roost.log.at(-1), "closed 4403 SessionOver: over");
  assert.equal(calls.length, 1);
  assert.equal(tab.timers, 0);
});

test("without sync nothing waits, and gaps are told", async () => {
  const { world, roost } = start({ sync: undefined });
  await world.pass(1000);
  world.socket.notify(1);
  world.socket.end();
  await world.pass(5000);
  world.socket.notify(2);
  await turn();
  assert.deepEqual(roost.log.map((l) => String(l).split(" ").slice(0, 2).join(" ")), ["open", "1", "waiting 1006", "connecting", "open", "gap reconnect", "2"]);
});

// --- Where the server can resume: _hello, id and since ---

const hello = (id, resumed) => ({ type: "_hello", payload: { id, resumed } });
const sent = (socket) => socket.protocols.find((p) => p.startsWith("since."));

// resuming is a server that says hello with what resumed says for a position.
function resuming(world, resumed) {
  world.accepts = (s) => world.after(10, () => {
    s.open();
    s.says(hello("m.0", sent(s) && resumed(sent(s).slice(6))));
  });
}

test("the hello opens it, and goes on from the last position without sync", async () => {
  const { world, roost, calls } = start();
  resuming(world, () => ({ missed: 2 }));
  await world.pass(20);
  assert.equal(roost.state, "open"); // without waiting for a refusal
  assert.equal(sent(world.socket), undefined);
  world.socket.notify(1, "m.1");
  await turn();
  world.socket.end();
  await world.pass(5000);
  assert.equal(sent(world.socket), "since.m.1");
  for (const n of [2, 3]) world.socket.notify(n, "m." + n);
  world.socket.end(); // before anything else came
  await world.pass(9000);
  assert.equal(sent(world.socket), "since.m.3");
  assert.equal(calls.length, 1);
  assert.deepEqual(roost.log.filter((l) => typeof l === "number"), [1, 2, 3]);
  assert.ok(!roost.log.some((l) => String(l).startsWith("gap")));
});

test("a hello that comes late is no gap", async () => {
  const { world, roost, calls } = start();
  let late = 1_000;
  world.accepts = (s) => world.after(10, () => {
    s.open();
    if (late) world.after(late, () => s.says(hello("m.0", sent(s) && { missed: 1 })));
  });
  await world.pass(500);
  assert.equal(roost.state, "open"); // it could be a server without a hello
  await world.pass(1_000);
  world.socket.end();
  late = 2_500;
  await world.pass(4_000);
  assert.equal(sent(world.socket), "since.m.0");
  assert.equal(roost.state, "connecting");
  await world.pass(3_000);
  assert.equal(roost.state, "open");
  assert.equal(calls.length, 1);
  assert.ok(!roost.log.some((l) => String(l).startsWith("gap")));
  late = 0; // a server that resumes no more
  world.socket.end();
  await world.pass(11_100);
  assert.equal(roost.state, "open");
  assert.deepEqual([calls.length, calls[1].reason], [2, "reconnect"]);
});

test("the connection asks for its id, and keeps it when it comes back", async () => {
  const { world, roost } = start({ id: true });
  const asked = () => world.socket.protocols.find((p) => p.startsWith("hello"));
  let given = { connection: "q83vEjRWeJA" };
  world.accepts = (s) => world.after(10, () => { s.open(); if (given) s.says({ type: "_hello", payload: given }); });
  const told = [];
  roost.on("state", ({ state, id }) => told.push(state === "open" ? id : state));
  assert.equal(roost.id, undefined);
  await world.pass(20);
  assert.equal(asked(), "hello.");
  assert.equal(roost.id, "q83vEjRWeJA");
  assert.equal(roost.status.id, "q83vEjRWeJA");
  world.socket.end();
  await turn();
  assert.equal(roost.id, "q83vEjRWeJA"); // what the page does now is for the connection that comes
  given = { id: "m.0", connection: "AAAAAAAAAAE" }; // a server that knows it no more
  await world.pass(5_000);
  assert.equal(asked(), "hello.q83vEjRWeJA");
  assert.equal(roost.id, "AAAAAAAAAAE");
  given = undefined; // an older one
  world.socket.end();
  await world.pass(10_000);
  assert.equal(asked(), "hello.AAAAAAAAAAE");
  assert.deepEqual([roost.state, roost.id], ["open", undefined]);
  assert.deepEqual(told.filter((t) => !["connecting", "waiting"].includes(t)), ["q83vEjRWeJA", "AAAAAAAAAAE", undefined]);
});

test("who does not want an id does not ask", async () => {
  const { world, roost } = start();
  resuming(world, () => ({ missed: 0 }));
  await world.pass(20);
  assert.deepEqual(world.socket.protocols, ["roost.v1", "bearer." + token]);
  assert.equal(roost.id, undefined);
});

test("the position steps over nothing that is still to come", async () => {
  const { world } = start();
  resuming(world, () => ({ missed: 3 }));
  await world.pass(20);
  world.socket.notify(1, "m.1");
  world.socket.end();
  await world.pass(5000);
  world.socket.notify(2, "m.2");
  world.socket.end(); // two of three are missing
  await world.pass(9000);
  assert.equal(sent(world.socket), "since.m.2");
  world.socket.end();
  await world.pass(20_000);
  assert.equal(sent(world.socket), "since.m.2");
});

test("the answer to a ping, the hello and the close frame move the position", async () => {
  const { world } = start();
  resuming(world, () => ({ missed: 0 }));
  await world.pass(20);
  world.socket.end();
  await world.pass(5000);
  assert.equal(sent(world.socket), "since.m.0"); // of the hello: there was no notification
  world.socket.place = "m.p7";
  await world.pass(26_000);
  world.socket.end();
  await world.pass(9000);
  assert.equal(sent(world.socket), "since.m.p7");
  world.socket.end(1001, "the server restarts id=m.c-9_x");
  await world.pass(9000);
  assert.equal(sent(world.socket), "since.m.c-9_x");
});

test("what can't be resumed is one gap and one sync", async () => {
  const { world, roost, calls } = start();
  resuming(world, () => false);
  await world.pass(20);
  world.socket.notify(1, "m.1");
  await turn();
  world.socket.end();
  const { accepts } = world;
  world.accepts = (s) => { accepts(s); world.after(10, () => s.says({ type: "_gap", payload: { reason: "resume", since: "m.1" } })); };
  await world.pass(5000);
  assert.equal(calls.length, 2);
  assert.equal(roost.log.filter((l) => String(l).startsWith("gap")).length, 1);
  world.socket.end();
  await world.pass(9000);
  assert.equal(sent(world.socket), "since.m.0"); // the new one
});

test("a hole stays one until sync has filled it, also when the server resumes after it", async () => {
  const { world, tab, calls } = start({ answers: [undefined, () => Promise.reject(new Error("backend down"))] });
  let can = false;
  tab.random = 1;
  resuming(world, () => can && { missed: 0 });
  await world.pass(20);
  world.socket.end();
  await world.pass(4100);
  assert.equal(calls.length, 2);
  can = true;
  world.socket.end();
  await world.pass(60_000);
  assert.equal(calls.length, 3);
  assert.equal(calls[2].reason, "reconnect");
});

test("what came already is dropped by its id", async () => {
  const { world, roost } = start();
  resuming(world, () => ({ missed: 1 }));
  await world.pass(20);
  world.socket.notify(1, "m.1");
  world.socket.notify(1, "m.1");
  world.socket.end();
  await world.pass(5000);
  world.socket.notify(1, "m.1");
  world.socket.notify(2, "m.2");
  await turn();
  assert.deepEqual(roost.log.filter((l) => typeof l === "number"), [1, 2]);
});

test("ids are known for the last 1,000 notifications", async () => {
  const { world, roost } = start();
  await world.pass(1000);
  for (let i = 0; i <= 1000; i++) world.socket.notify(i, "m." + i);
  world.socket.notify("again", "m.1");
  world.socket.notify("forgotten", "m.0");
  await turn();
  assert.ok(!roost.log.includes("again"));
  assert.ok(roost.log.includes("forgotten"));
});

test("the page that was put away goes on from its position", async () => {
  const { world, tab, roost, calls } = start();
  resuming(world, () => ({ missed: 1 }));
  await world.pass(20);
  world.socket.notify(1, "m.1");
  await tab.fire("pagehide");
  await world.pass(60_000);
  await tab.fire("pageshow");
  await world.pass(20);
  assert.equal(sent(world.socket), "since.m.1");
  world.socket.notify(2, "m.2");
  await turn();
  assert.deepEqual(roost.log.slice(-2), ["open", 2]);
  assert.equal(calls.length, 1);
});
