// How the connection opens, ends and comes back.
import assert from "node:assert/strict";
import test from "node:test";
import { Tab, World, deferred, token, turn } from "./world.js";

function start(options) {
  const world = new World();
  const tab = new Tab(world);
  return { world, tab, roost: tab.join(options) };
}

test("connects, delivers and closes", async () => {
  const { world, tab, roost } = start();
  assert.equal(world.sockets.length, 0); // connect has returned first
  await world.pass(1000);
  assert.equal(world.socket.url, "wss://roost.example/ws");
  assert.deepEqual(world.socket.protocols, ["roost.v1", "bearer." + token]);
  world.socket.notify("hello");
  await turn();
  await roost.opened;
  roost.close();
  await world.pass(100_000);
  assert.deepEqual(roost.log, ["open", "hello", "closed 1000 closed by the page"]);
  assert.equal(world.open, 0);
  assert.equal(tab.timers + tab.listeners, 0);
});

test("a refusal after the handshake was never open", async () => {
  const { world, roost } = start({});
  world.accepts = (s) => world.after(10, () => { s.open(); world.after(50, () => s.end(4503, "full")); });
  await world.pass(100);
  assert.deepEqual(roost.log, ["waiting 4503 full"]);
});

test("close before anything was sent asks for no token", async () => {
  let asked = 0;
  const { world, roost } = start({ token: () => { asked++; return token; } });
  roost.close();
  await world.pass(1000);
  assert.equal(asked + world.sockets.length, 0);
  await assert.rejects(roost.opened, /closed by the page/);
});

test("waits longer each time, a random part of it all", async () => {
  const { world, tab, roost } = start();
  tab.random = 1;
  world.accepts = (s) => world.after(0, () => s.end());
  await world.pass(600_000);
  const waits = world.sockets.slice(1).map((s, i) => s.at - world.sockets[i].at);
  assert.deepEqual(waits.slice(0, 7), [4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  assert.equal(roost.status.delay, 60_000);
  assert.deepEqual(tab.warned, ["roost: no connection: see Roost's log"]); // once
  tab.random = 0.01;
  const before = world.sockets.length;
  await world.pass(65_000);
  assert.ok(world.sockets.length > before + 2);
});

test("a connection that held starts a new row, one that did not goes on", async () => {
  const { world, tab, roost } = start();
  tab.random = 1;
  const waits = [];
  roost.on("state", ({ delay }) => delay !== undefined && waits.push(delay));
  for (const held of [1000, 1000, 31_000, 1000]) {
    while (roost.state !== "open") await world.pass(1000);
    await world.pass(held - 1000);
    world.socket.end();
    await turn();
  }
  assert.deepEqual(waits, [4000, 8000, 4000, 8000]);
});

test("reconnects or stops, by code", async () => {
  for (const [codes, want] of [
    [[1000, 1007, 1008, 1009, 3000, 3999, 4000, 4402, 4403, 4429, 4999], "closed"],
    [[1001, 1002, 1005, 1006, 1011, 1012, 1013, 1014, 1015, 4401, 4408, 4503, 4507], "waiting"],
  ]) {
    for (const code of codes) {
      const { world, roost } = start();
      await world.pass(1000);
      world.socket.end(code, "why");
      assert.equal(roost.state, want, String(code));
      assert.equal(roost.status.code, code);
    }
  }
});

test("a planned expiry is no failure", async () => {
  const reasons = [];
  const { world, tab, roost } = start({ token: ({ reason }) => { reasons.push(reason); return token; } });
  tab.random = 1;
  await world.pass(1000);
  for (let i = 0; i < 3; i++) {
    await world.pass(40_000);
    world.socket.end(4401, "token expired");
    await world.pass(300);
    assert.equal(roost.state, "open");
  }
  assert.deepEqual(reasons, ["first", "expired", "expired", "expired"]);
  world.socket.end(1012);
  await world.pass(9000);
  assert.equal(reasons.at(-1), "reconnect");
});

test("a token that is refused is replaced at once, and then not over and over", async () => {
  const { world, tab } = start();
  tab.random = 1;
  world.accepts = (s) => world.after(0, () => { s.open(); s.end(4401, "token expired"); });
  await world.pass(30_000);
  assert.deepEqual(world.sockets.slice(1).map((s, i) => s.at - world.sockets[i].at), [0, 8000, 16_000]);
});

test("the token is aborted when the attempt took too long, and on close", async () => {
  const signals = [];
  const { world, tab, roost } = start({ token: ({ signal }) => { signals.push(signal); return new Promise(() => {}); } });
  tab.random = 0.5;
  while (signals.length < 3) await world.pass(1000);
  assert.equal(signals.filter((s) => !s.aborted).length, 1, "requests left open");
  roost.close();
  assert.ok(signals.every((s) => s.aborted));
  assert.match(roost.log[0], /waiting 1006 no answer in time/);
});

test("a handshake that nobody answers is given up", async () => {
  const { world, roost } = start();
  world.accepts = () => {};
  await world.pass(20_001);
  assert.deepEqual(roost.log, ["waiting 1006 no answer in time"]);
  await world.pass(10);
  assert.equal(world.socket.readyState, 3);
});

test("what an abandoned attempt still says is not heard", async () => {
  const late = deferred();
  const tokens = [late.promise];
  const { world, roost } = start({ token: () => tokens.shift() ?? token });
  await world.pass(30_000);
  assert.equal(roost.state, "open");
  late.resolve(token);
  await world.pass(1000);
  assert.equal(world.sockets.length, 1);
});

test("a token is checked, trimmed and never shown", async () => {
  const secret = "eyJhbGciOi.secret";
  const wrong = [`<!doctype html>${secret}`, "", "  ", `"${secret}.x"`, `Bearer ${secret}.x`, { token: secret }, undefined, null, 5, secret];
  for (const value of wrong) {
    const { world, tab, roost } = start({ token: () => value });
    await world.pass(100_000);
    assert.equal(world.sockets.length, 0);
    assert.equal(tab.warned.filter((w) => w.includes("a JWT, not")).length, 1, "warned once of " + value);
    assert.ok(!JSON.stringify([tab.warned, roost.log, tab.reported]).includes("secret"), "shows " + value);
  }
  const { world, tab, roost } = start({ token: () => `<html>` });
  await world.pass(10);
  assert.match(tab.warned[0], /HTML/);
  assert.match(roost.status.reason, /HTML/);
  const good = start({ token: async () => `\n ${token}\n` });
  await good.world.pass(10);
  assert.equal(good.world.socket.protocols[1], "bearer." + token);
});

test("a token that fails is asked for again, its words are the reason", async () => {
  const tokens = [() => { throw new Error("at once"); }, () => Promise.reject(new Error("later")), () => Promise.reject(undefined), () => token];
  const { world, roost } = start({ token: () => tokens.shift()() });
  await world.pass(60_000);
  const waits = roost.log.filter((l) => String(l).startsWith("waiting"));
  assert.deepEqual(waits, ["waiting 1006 Error: at once", "waiting 1006 Error: later", "waiting 1006 undefined"]);
  assert.equal(roost.state, "open");
});

test("SessionOver ends for good", async () => {
  const { world, tab, roost } = start({ token: () => { throw new tab2.SessionOver("signed out"); } });
  const tab2 = new Tab(world); // another copy of the file
  await world.pass(100_000);
  assert.deepEqual(roost.log, ["closed 4403 SessionOver: signed out"]);
  assert.equal(tab.timers + tab.listeners, 0);
});

test("a dead connection is noticed, a live one is kept", async () => {
  const { world, tab, roost } = start();
  tab.random = 0.5;
  await world.pass(1000);
  const first = world.socket;
  await world.pass(126_000);
  assert.deepEqual(first.sent, Array(5).fill('{"type":"ping"}'));
  await world.pass(23_000);
  first.notify("still here"); // is an answer too
  await world.pass(24_000);
  assert.equal(first.sent.length, 5);
  assert.equal(roost.state, "open");
  first.dead = true;
  await world.pass(12_000);
  assert.equal(roost.log.at(-1), "waiting 1006 no answer to a ping");
  first.end(); // its close event comes late
  await world.pass(3000);
  assert.equal(world.open, 1);
  assert.equal(roost.state, "open");
});

test("a late timer after sleep is not a dead connection", async () => {
  const { world, roost } = start();
  await world.pass(1000);
  world.socket.dead = true; // the answer is in the socket, and nobody there to read it
  await world.pass(25_000);
  assert.equal(world.socket.sent.length, 1);
  world.sleep(3_600_000);
  await world.pass(0);
  world.socket.says({ type: "pong" });
  await world.pass(20_000);
  assert.equal(roost.state, "open");
  assert.equal(world.sockets.length, 1);
  // But one that is dead is not granted time for ever.
  await world.pass(5000);
  world.sleep(3_600_000);
  await world.pass(11_000);
  assert.equal(roost.log.at(-1), "waiting 1006 no answer to a ping");
});

test("a dead connection is noticed although all timers are late, as in a tab that nobody looks at", async () => {
  const { world, roost } = start();
  await world.pass(1000);
  world.socket.dead = true;
  for (let i = 0; i < 3; i++) { // the ping, its deadline, and once more
    world.sleep(90_000);
    await world.pass(0);
  }
  assert.equal(roost.log.at(-1), "waiting 1006 no answer to a ping");
});

test("an attempt under way goes on after sleep", async () => {
  const { world, roost } = start();
  world.accepts = (s) => world.after(19_000, () => s.open());
  await world.pass(100);
  world.sleep(60_000);
  await world.pass(300);
  assert.equal(roost.state, "open");
  assert.equal(world.sockets.length, 1);
});

test("what is not JSON, or not Roost's, changes nothing", async () => {
  const { world, tab, roost } = start();
  await world.pass(1000);
  for (const text of ["", "hello", "null", "5", "{}", '{"type":5}', '{"type":"_later","payload":1}']) world.socket.says(text);
  world.socket.notify(1);
  await turn();
  assert.ok(tab.reported.length > 0);
  assert.equal(roost.state, "open");
  assert.equal(roost.log.at(-1), 1);
});

test("1,000 pages come back spread over the whole wait", async () => {
  const world = new World();
  const tabs = Array.from({ length: 1000 }, () => new Tab(world));
  let seed = 1;
  for (const tab of tabs) {
    tab.globals.Math.random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
    tab.join();
  }
  await world.pass(1000);
  assert.equal(world.open, 1000);
  const lost = world.now;
  world.accepts = (s) => world.after(0, () => s.end());
  for (const socket of [...world.sockets]) socket.end(1001);
  await world.pass(4000);
  const perSecond = [0, 0, 0, 0];
  for (const tab of tabs) {
    const next = world.sockets.find((s) => s.tab === tab && s.at > lost);
    perSecond[Math.floor((next.at - lost) / 1000)]++;
  }
  for (const n of perSecond) assert.ok(n > 200 && n < 300, String(perSecond));
});

test("1,000 reconnects leave nothing behind", async () => {
  const { world, tab, roost } = start();
  const [timers, listeners] = [1, 9];
  for (let i = 0; i < 1000; i++) {
    await world.pass(30_300);
    world.socket.end(i % 2 ? 1001 : 4401);
    await world.pass(4300);
    assert.equal(roost.state, "open");
    assert.equal(world.open, 1);
    assert.ok(tab.timers <= timers && tab.listeners <= listeners, `${tab.timers} ${tab.listeners}`);
  }
});
