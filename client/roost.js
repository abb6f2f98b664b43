/*! roost-client 1.0.0, (c) The Roost authors, MIT License */
// Roost in a page: one connection, which comes back by itself. docs/frontend.md explains it.
//
//   import { connect, SessionOver } from "roost-client";
//   const roost = connect("wss://example.com/ws", { token, sync });
//   roost.on("greeting", ({ payload }) => show(payload.text));

// Milliseconds. connect takes each of them as an option.
const times = {
  baseDelay: 4_000, // before the nth attempt in a row: a random part of baseDelay * 2^n ...
  maxDelay: 60_000, // ... or of this, if that is less
  stableAfter: 30_000, // a connection that held this long starts a new row
  openWithin: 20_000, // the token and the handshake together
  pingAfter: 25_000, // of silence: a page can't see the pings of WebSocket itself
  pongWithin: 10_000, // or the connection is dead
  answerWithin: 3_000, // the same while the user waits, for the tab that has the connection, and for a hello that was asked for
};
const syncWithin = 60_000;
const kept = 1_000; // notifications: held back for sync, waiting in an iterator, known by their id

// final says which close codes would only come again: the page's own faults, and what the backend wants (1000, and
// 3000 and up). Of these 4401 asks for a fresh token, 4408 and 4507 say that notifications were lost, 4503 asks for another try.
// 1002 is not among them: a browser does not break the protocol, but what is between it and the server does.
const final = (code) => /^(100[0789]|3|4(?!40[18]|50[37]))/.test(code);

/** token and sync throw this when the user is signed out: the connection ends for good. */
export class SessionOver extends Error {
  name = "SessionOver"; // compared by name: a page may have two copies of this file
}

export function connect(url, options) {
  const o = checked(url, options);
  const [after, within, stop] = timer(); // of the connection
  const [syncAfter, syncLimit, syncStop] = timer();

  // Seen by the page.
  const listeners = new Set(); // of [type, listener]
  let state = "connecting";
  let status = { state }; // and code, reason, delay, resumed
  let at; // when it came to this state
  let isOpen, isOver;
  const opened = new Promise((resolve, reject) => { isOpen = resolve; isOver = reject; });
  opened.catch(() => {}); // not everybody awaits it

  // Held by the connection.
  let wasOpen; // once
  let position; // up to which it has everything, as the server named it
  let ownId; // of the connection, as the server named it; it keeps it when it comes back
  let since; // nothing that was published before is missing: a notification's timestamp, or what a gap said
  let missed = o.sync && { reason: "first" }; // what sync has to be called for
  let syncing; // the AbortController of sync, until it has succeeded or is tried again
  let syncFailures = 0; // in a row
  const held = []; // notifications that wait for sync
  const had = new Set(); // ids of the latest notifications

  // The WebSocket.
  let socket;
  let abort; // of token
  let attempt = 0; // the latest one's number: events of earlier ones are ignored
  let failures = 0; // in a row
  let expired; // by the last one's code
  let asked; // by a ping, and not answered yet
  let eager; // the user waits: a failed attempt is repeated at once

  // The other tabs.
  let here; // the page is not put away
  let channel; // to the others, with share
  let leads; // this tab has the WebSocket
  let lock; // the AbortController of this tab's wait for the lock, and of having it

  // --- What happened to the connection, in this tab or in the one that leads ---

  const events = {
    state(next) {
      if (state === next.state || state === "closed") return;
      ({ state } = status = next);
      at = Date.now();
      emit(["state"], status);
      if (state === "closed") finish();
      if (state !== "open") return;
      ownId = status.id;
      if (wasOpen && !status.resumed) events.gap({ reason: "reconnect" });
      wasOpen = true;
      isOpen();
      queueMicrotask(catchUp);
    },
    message(notification) {
      const { id } = notification;
      const [oldest] = had;
      if (had.has(id)) return;
      if (had.add(id || {}).size > kept) had.delete(oldest);
      if (missed || syncing) keep(held, notification);
      else deliver(notification);
    },
    gap(gap) {
      // The earlier: some of what came after the loss may have come before the notice of it.
      since = gap.since = gap.since < since ? gap.since : since ?? gap.since;
      emit(["gap"], gap);
      missed ??= o.sync && gap;
      queueMicrotask(catchUp);
    },
  };

  // keep lets what is too much go, and says so.
  function keep(queue, value) {
    if (queue.push(value) > kept) events.gap({ reason: "overflow", since: queue.splice(0)[0].timestamp });
  }

  function deliver(notification) {
    const { type } = notification;
    since = notification.timestamp;
    emit(["*", ["state", "gap"].includes(type) || type], notification);
  }

  // The page's functions run later, each on its own: an exception of one is reported and changes nothing here.
  function emit(types, value) {
    queueMicrotask(() => listeners.forEach(([type, f]) => types.includes(type) && (state !== "closed" || type === "state") && guarded(f, value)));
  }

  // catchUp calls sync until it has succeeded, then lets out what came meanwhile.
  async function catchUp() {
    if (!missed || syncing || state !== "open") return;
    const hole = missed;
    const { signal } = syncing = new AbortController();
    missed = undefined;
    syncLimit(syncWithin, () => syncing.abort("roost: sync hangs"));
    try {
      await Promise.race([o.sync({ ...hole, since: hole.since && since, signal }), new Promise((_, reject) => { signal.onabort = reject; })]);
      syncFailures = 0;
      retry();
    } catch (error) {
      if (state === "closed") return;
      missed = hole;
      if (error?.name === "SessionOver") return end(4403, String(error));
      report(signal.reason ?? error);
      syncAfter(backoff(syncFailures++), retry);
    }
  }

  function retry() {
    syncStop();
    syncing = undefined;
    if (missed) catchUp();
    else held.splice(0).forEach(deliver);
  }

  // --- The WebSocket: it opens, notices that it is dead, comes back ---

  function tell(kind, value) {
    channel?.postMessage([kind, value, position]);
    events[kind](value);
  }

  async function open() {
    drop();
    const mine = attempt;
    const ifMine = (handle) => (event) => mine === attempt && guarded(handle, event);
    abort = new AbortController();
    within(o.openWithin, () => lost(1006, "no answer in time"));
    tell("state", { state: "connecting" });
    try {
      const given = await o.token({ signal: abort.signal, reason: expired ? "expired" : wasOpen ? "reconnect" : "first" });
      if (mine !== attempt) return;
      const token = String(given ?? "").trim();
      // The message names the type of a value that is no token, and does not show it.
      if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) bad("token()", "a JWT, not " + (token[0] === "<" ? "HTML" : token ? typeof given : "empty"));
      // A token in the URL would be in the logs of proxies.
      socket = new o.WebSocket(o.url, ["roost.v1", "bearer." + token].concat(
        position ? "since." + position : [],
        o.id ? "hello." + (ownId ?? "") : [],
      ));
      // A hello that was asked for is waited for: a server without one resumes nothing. One that refuses after the handshake
      // does so within 200 ms.
      socket.onopen = ifMine(() => within(position || o.id ? o.answerWithin : 200, ready));
      socket.onmessage = ifMine((event) => received(JSON.parse(event.data)));
      socket.onerror = () => {}; // says nothing, but outside of browsers it must not go unheard
      socket.onclose = ifMine((event) => lost(event.code, event.reason));
    } catch (error) {
      if (mine !== attempt) return;
      warn(error);
      lost(error?.name === "SessionOver" ? 4403 : error?.name === "SecurityError" ? 1008 : 1006, String(error)); // 1008: mixed content
    }
  }

  function ready(resumed, id) {
    heard();
    tell("state", { state: "open", resumed, id });
  }

  function received(message) {
    const { type, payload, id } = message;
    const hello = type === "_hello" && payload;
    const resumed = position && hello.resumed; // position has been sent, if there was one
    if (!resumed?.missed) position = hello.id ?? position; // else what was missed follows, each with its own id
    if (state !== "open") ready(resumed, hello.connection);
    heard();
    position = id ?? position;
    if (type === "_gap") {
      if (payload.reason !== "resume") tell("gap", payload); // the hello has told that
    } else if (!/^_|^pong$/.test(type)) tell("message", message);
    else tell("state", { state }); // so that the other tabs know that we are there, and position
  }

  function heard() {
    asked = eager = false;
    after(o.pingAfter, () => ping(o.pongWithin));
  }

  function ping(ms) {
    if (!asked) socket.send('{"type":"ping"}');
    asked = true;
    within(ms, () => lost(1006, "no answer to a ping"));
  }

  function lost(code, reason) {
    if (state === "open") {
      if (Date.now() - at >= o.stableAfter) failures = 0;
      position &&= /\bid=([\w.-]+)/.exec(reason)?.[1] ?? position; // a planned end says how far we are
    } else if (failures === 2) warn("no connection: see Roost's log");
    drop();
    if (final(code)) return tell("state", { state: "closed", code, reason });
    // A random part of it all ("full jitter"): others have lost their connections at the same moment. An expired token
    // is replaced at once, but not over and over.
    expired = code === 4401;
    const delay = eager || (expired && !failures) ? 0 : backoff(failures);
    eager = false;
    failures++;
    after(delay, open);
    tell("state", { state: "waiting", code, reason, delay });
  }

  const backoff = (n) => Math.random() * Math.min(o.maxDelay, o.baseDelay * 2 ** n);

  // drop forgets a connection without waiting for its close event: that of a dead one comes late.
  function drop() {
    attempt++;
    stop();
    abort?.abort();
    socket?.close();
  }

  // wake looks at once, because the user does.
  function wake() {
    if (!leads) return ask();
    eager = state === "open";
    if (eager) ping(o.answerWithin);
    else if (Date.now() - at > (state === "waiting" ? 1_000 : o.answerWithin)) open();
    else if (state === "waiting") after(1_000, open);
  }

  // --- Other tabs: one of them leads. It has the WebSocket and a lock, which the browser hands on when the tab goes. A
  // leader that does not answer, because it is frozen, loses the lock.

  async function lead(steal) {
    lock?.abort();
    const { signal } = lock = new AbortController();
    ask();
    try {
      await navigator.locks.request(channel.name, steal ? { steal } : { signal }, () => !signal.aborted && new Promise((release) => {
        signal.onabort = release;
        leads = true;
        open();
      }));
    } catch (error) {
      if (signal.aborted) return;
      drop();
      leads = error.name !== "AbortError"; // then another tab has taken the lock; else there are none, as in a sandbox
      if (leads) open();
      else lead();
    }
  }

  function ask() {
    if (!isSeen()) return after(o.pingAfter, ask);
    channel.postMessage(["who"]);
    within(o.answerWithin, () => lead(true));
  }

  function hear({ data: [kind, value, id] }) {
    if (kind === "who") {
      if (!leads) return;
      wake();
      channel.postMessage(["state", { ...status, resumed: false }, position]);
    } else if (value.state === "closed" || !leads) { // the lock of a leader that ended may be here before its last word
      // Timers of a tab that nobody looks at are late: ask it when it should have tried again.
      after(value.delay + 500 || 2 * o.pingAfter, ask);
      position = id;
      events[kind](value);
    }
  }

  // --- The page: it comes, is put away, comes back, and ends ---

  function join() {
    if (here || state === "closed") return;
    here = true;
    leads = !o.share || !globalThis.navigator?.locks;
    if (leads) open();
    else {
      channel = new BroadcastChannel(`roost ${o.url} ${o.share}`);
      channel.onmessage = hear;
      lead();
    }
  }

  // A page that the browser puts away would get nothing, and its connection would keep it from coming back quickly.
  function leave() {
    here = leads = false;
    drop();
    channel?.close();
    lock?.abort();
    events.state({ state: "waiting", code: 1001, reason: "away" });
  }

  function live({ type, disposition, blockedURI }) {
    if (/hide|freeze/.test(type)) leave();
    else if (/show|resume/.test(type)) join();
    else if (blockedURI) {
      if (disposition === "enforce" && o.url.startsWith(blockedURI)) end(1008, "Content-Security-Policy");
    } else if (here && isSeen()) wake();
  }

  function listen(change) { // "addEventListener" or "removeEventListener"
    for (const type of "online offline pagehide pageshow freeze resume visibilitychange securitypolicyviolation".split(" ")) globalThis[change]?.(type, live, true);
    o.signal?.[change]("abort", close);
  }

  const end = (code, reason) => events.state({ state: "closed", code, reason });
  const close = () => end(1000, "closed by the page");

  function finish() {
    listen("removeEventListener");
    leave();
    syncStop();
    syncing?.abort();
    isOver(new Error(status.reason));
  }

  // --- What connect returns ---

  function on(type, listener) {
    if (typeof listener !== "function") bad("listener", "a function");
    const entry = [type, listener];
    listeners.add(entry);
    return () => { listeners.delete(entry); };
  }

  listen("addEventListener");
  queueMicrotask(join); // connect returns first
  if (o.signal?.aborted) close();
  return {
    on,
    close,
    opened,
    get state() { return state; },
    get status() { return status; },
    get id() { return ownId; },
    async *[Symbol.asyncIterator]() {
      const queue = [];
      let next;
      const offs = [on("*", (value) => { keep(queue, value); next?.(); }), on("state", () => next?.())];
      try {
        while (queue.length || state !== "closed") {
          if (queue.length) yield queue.shift();
          else await new Promise((resolve) => { next = resolve; });
        }
      } finally {
        offs.forEach((off) => off());
      }
    },
  };
}

const isSeen = () => !globalThis.document?.hidden;
const report = (error) => (globalThis.reportError ?? console.error)(error);
async function guarded(f, value) {
  try {
    await f(value);
  } catch (error) {
    report(error);
  }
}

const bad = (what, wanted) => { throw new TypeError("roost: " + what + " has to be " + wanted); };

// warn says it once.
const warned = {};
const warn = (text) => { warned[text] ??= !console.warn("roost: " + text); };

// timer is one timer, of whatever comes next.
function timer() {
  let id;
  const stop = () => clearTimeout(id);
  function after(delay, next) {
    stop();
    id = setTimeout(next, delay);
  }
  // within is a deadline. One that comes late, because the machine slept or the browser holds timers back, says nothing
  // about the other side, and is granted once more.
  function within(delay, fail) {
    const due = Date.now() + delay;
    after(delay, () => (Date.now() > due + 2_000 ? after(delay, fail) : fail()));
  }
  return [after, within, stop];
}

// The options' types, by typeof, and what else helps.
const kinds = {
  token: "a function",
  sync: "a function",
  share: "a boolean or a string",
  id: "a boolean",
  signal: "an object",
  WebSocket: "a function: servers have none",
};

// checked returns the options with what was left out, or says what is wrong with them.
function checked(url, options) {
  const o = { ...times, WebSocket: globalThis.WebSocket, token: undefined };
  for (const name in options) if (options[name] != null) o[name] = options[name];
  for (const name in o) {
    const kind = kinds[name] ?? (times[name] ? "a number above 0" : "left out");
    if (!kind.includes(typeof o[name]) || (times[name] && (o[name] | 0) < 1)) bad(name, kind);
  }
  if (!/^(ws|http)s?:[^#]*$|^\//.test(url)) bad("url", "like wss://example.com/ws");
  o.url = new URL(url, globalThis.location).href.replace(/^http/, "ws");
  return o;
}
