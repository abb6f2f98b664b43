// One connection for all tabs: one of them leads, the others hear from it.
import assert from "node:assert/strict";
import test from "node:test";
import { Tab, World, token, turn } from "./world.js";

async function open(n, options) {
  const world = new World();
  const tabs = Array.from({ length: n }, () => new Tab(world));
  const pages = tabs.map((tab) => join(tab, options));
  await world.pass(4000);
  return { world, tabs, pages };
}

function join(tab, options) {
  const roost = tab.join({ share: true, sync: ({ reason }) => { roost.log.push("sync " + reason); }, ...options });
  return roost;
}

const numbers = (roost) => roost.log.filter((l) => typeof l === "number");

test("all tabs have one connection, and each calls its own sync", async () => {
  const { world, pages } = await open(4);
  assert.equal(world.sockets.length, 1);
  world.socket.notify(1);
  await turn();
  for (const roost of pages) assert.deepEqual(roost.log, ["open", "sync first", 1]);
  world.socket.end(1012, "restart");
  await world.pass(5000);
  assert.equal(world.sockets.length, 2);
  for (const roost of pages) {
    assert.deepEqual(roost.log.slice(3), ["waiting 1012 restart", "connecting", "open", roost.log[6], "sync reconnect"]);
    assert.match(roost.log[6], /^gap reconnect 2026/);
  }
});

test("a tab that comes later joins, and knows the state", async () => {
  const { world, pages } = await open(1);
  world.socket.notify(1);
  await world.pass(60_000);
  const late = join(new Tab(world));
  await world.pass(100);
  assert.equal(world.sockets.length, 1);
  assert.deepEqual(late.log, ["open", "sync first"]);
  world.socket.notify(2);
  await turn();
  assert.deepEqual(late.log.slice(2), [2]);
  assert.deepEqual(numbers(pages[0]), [1, 2]);
});

test("tabs that share have one id, which the next leader keeps", async () => {
  const world = new World();
  world.accepts = (s) => world.after(10, () => {
    s.open();
    s.says({ type: "_hello", payload: { connection: s.protocols.at(-1).slice(6) || "q83vEjRWeJA" } });
  });
  const pages = [0, 1].map(() => join(new Tab(world), { id: true }));
  await world.pass(1_000);
  pages.push(join(new Tab(world), { id: true }));
  await world.pass(1_000);
  assert.deepEqual(pages.map((roost) => roost.id), Array(3).fill("q83vEjRWeJA"));
  pages[0].close();
  await world.pass(1_000);
  assert.deepEqual(world.socket.protocols, ["roost.v1", "bearer." + token, "hello.q83vEjRWeJA"]);
  assert.deepEqual(pages.map((roost) => roost.id), Array(3).fill("q83vEjRWeJA"));
});

test("a tab that comes while there is no connection knows that", async () => {
  const { world } = await open(1);
  world.accepts = () => {};
  world.socket.end(1012, "restart");
  await world.pass(200);
  const late = join(new Tab(world));
  await turn();
  assert.deepEqual(late.log, ["waiting 1012 restart"]);
});

test("the next leader knows the position of the last answer to a ping", async () => {
  const { world, pages } = await open(2);
  world.socket.place = "m.9";
  await world.pass(30_000);
  pages[0].close();
  await world.pass(100);
  assert.equal(world.socket.protocols[2], "since.m.9");
});

test("a tab that nobody looks at takes the lead from nobody", async () => {
  const { world, tabs } = await open(2);
  tabs[0].frozen = true;
  await tabs[1].show(false);
  await world.pass(300_000);
  assert.equal(world.sockets.length, 1);
});

for (const goes of ["closes", "goes away"]) {
  test(`when the leader ${goes} another tab leads, and goes on from the same position`, async () => {
    const world = new World();
    world.accepts = (s) => world.after(10, () => {
      s.open();
      s.says({ type: "_hello", payload: { id: "m.0", resumed: s.protocols[2] && { missed: 1 } } });
      if (s.protocols[2]) s.notify(2, "m.2");
    });
    const tabs = [0, 1, 2].map(() => new Tab(world));
    const pages = tabs.map((tab) => join(tab));
    await world.pass(1000);
    world.socket.notify(1, "m.1");
    await turn();
    if (goes === "closes") pages[0].close();
    else await tabs[0].fire("pagehide");
    await world.pass(100);
    assert.equal(world.open, 1);
    assert.deepEqual(world.socket.protocols, ["roost.v1", "bearer." + token, "since.m.1"]);
    for (const roost of pages.slice(1)) assert.deepEqual(roost.log, ["open", "sync first", 1, "connecting", "open", 2]);
    assert.equal(pages[0].state, goes === "closes" ? "closed" : "waiting");
    if (goes === "closes") return assert.equal(tabs[0].timers + tabs[0].listeners, 0);
    await tabs[0].fire("pageshow"); // it may have missed something: nobody kept it
    await world.pass(100);
    assert.equal(world.open, 1);
    assert.deepEqual(pages[0].log.slice(3), ["waiting 1001 away", "open", pages[0].log[5], "sync reconnect"]);
  });
}

test("a leader that is frozen without a word loses the lead to a tab that is looked at", async () => {
  const { world, tabs, pages } = await open(3);
  tabs[0].frozen = true;
  tabs[2].globals.document.hidden = true;
  await world.pass(200_000); // silence
  assert.equal(world.sockets.length, 2);
  assert.equal(world.socket.tab, tabs[1]);
  world.socket.notify(1);
  await turn();
  assert.deepEqual(numbers(pages[1]), [1]);
  assert.deepEqual(numbers(pages[2]), [1]);
  tabs[0].frozen = false;
  await world.pass(1000); // it has heard that its lock was taken
  assert.equal(world.open, 1);
  world.socket.notify(2);
  await turn();
  for (const roost of pages) assert.equal(numbers(roost).at(-1), 2);
});

test("who looks at a tab whose leader is frozen waits three seconds", async () => {
  const { world, tabs, pages } = await open(2);
  await tabs[1].show(false);
  tabs[0].frozen = true;
  await world.pass(10_000);
  await tabs[1].show(true);
  await world.pass(3100);
  assert.equal(world.sockets.at(-1).tab, tabs[1]);
  await world.pass(300);
  assert.equal(pages[1].state, "open");
});

test("a leader that answers keeps the lead, however quiet it is", async () => {
  const { world, tabs } = await open(2);
  for (let i = 0; i < 20; i++) {
    await world.pass(30_000);
    await tabs[1].show(true);
  }
  assert.equal(world.sockets.length, 1);
});

test("the tab that is looked at makes a leader try whose timers are late", async () => {
  const { world, tabs, pages } = await open(2);
  tabs[0].globals.document.hidden = true;
  tabs[0].random = 1;
  world.socket.end(1012);
  await turn();
  for (const timer of world.timers.values()) if (timer.tab === tabs[0]) timer.at += 60_000; // as browsers do
  await world.pass(6000);
  assert.equal(pages[1].state, "open");
});

test("a tab that keeps asking does not keep a leader from trying whose timers are late", async () => {
  const { world, tabs, pages } = await open(2, { baseDelay: 20 });
  tabs[0].globals.document.hidden = true;
  tabs[0].clamp = 1000;
  world.socket.end(1012);
  await world.pass(2500);
  assert.equal(pages[1].state, "open");
});

test("an end for good is one for all tabs", async () => {
  const { world, tabs, pages } = await open(3);
  world.socket.end(4403, "signed out");
  await world.pass(60_000);
  assert.equal(world.sockets.length, 1);
  for (const roost of pages) assert.equal(roost.log.at(-1), "closed 4403 signed out");
  for (const tab of tabs) assert.equal(tab.timers + tab.listeners, 0);
  assert.equal(world.channels.size, 0);
});

for (const lag of [1, 30, 1000]) {
  test(`an end for good is one for all tabs, also where the lock is handed on ${lag} ms before the news`, async () => {
    const { world, tabs, pages } = await open(3);
    world.lag = lag;
    world.socket.end(4403, "signed out");
    await world.pass(60_000);
    for (const roost of pages) assert.equal(roost.log.at(-1), "closed 4403 signed out");
    assert.equal(world.open, 0);
    for (const tab of tabs) assert.equal(tab.timers + tab.listeners, 0);
    assert.equal(world.channels.size, 0);
  });
}

test("one tab that closes for itself ends no other", async () => {
  const { world, pages } = await open(3);
  world.lag = 30;
  pages[0].close();
  await world.pass(1000);
  assert.deepEqual(pages.map((roost) => roost.state), ["closed", "open", "open"]);
  assert.equal(world.open, 1);
});

test("tabs of different users, or of another server, share nothing", async () => {
  const world = new World();
  const [alice, bob] = ["alice", "bob"].map((share) => join(new Tab(world), { share }));
  await world.pass(1000);
  assert.equal(world.open, 2);
  world.sockets[0].notify(1);
  await turn();
  assert.deepEqual([numbers(alice), numbers(bob)], [[1], []]);
});

test("where there are no locks each tab has its own connection", async () => {
  const world = new World();
  for (const request of [undefined, () => Promise.reject(Object.assign(new Error("sandbox"), { name: "SecurityError" }))]) {
    const tab = new Tab(world);
    if (request) tab.globals.navigator.locks.request = request;
    else delete tab.globals.navigator.locks;
    const roost = join(tab);
    await world.pass(1000);
    assert.equal(roost.state, "open");
    assert.equal(world.socket.tab, tab);
    roost.close();
    await world.pass(100);
    assert.equal(tab.timers, 0);
  }
});

test("tabs that were robbed at the same time end with one leader", async () => {
  const { world, tabs, pages } = await open(4);
  tabs[0].frozen = true;
  for (const tab of tabs.slice(1)) await tab.show(true);
  await world.pass(60_000);
  tabs[0].frozen = false;
  await world.pass(60_000);
  assert.equal(world.open, 1);
  world.sockets.find((s) => s.readyState === 1).notify(1);
  await turn();
  for (const roost of pages) assert.deepEqual(numbers(roost), [1]);
});

test("a tab closed before it shared anything leaves nothing", async () => {
  const { world } = await open(1);
  const tab = new Tab(world);
  const roost = join(tab);
  roost.close();
  await world.pass(1000);
  assert.equal(tab.timers + tab.listeners, 0);
  const second = new Tab(world);
  const waiting = join(second);
  await turn();
  waiting.close();
  await world.pass(1000);
  assert.equal(second.timers + second.listeners, 0);
  assert.equal(world.channels.size, 1);
});
