// Roost in a page: one connection, which comes back by itself.
//
//   import { connect } from "./roost.js";
//   const roost = connect("wss://example.com/ws", freshToken, { onNotification, onOpen: refetch, onGap: refetch });
//   roost.close();
//
// freshToken returns a token or a promise of one. It is called before every attempt, so that tokens may be short-lived.

const defaults = {
  onNotification(notification) {}, // {type, payload, timestamp}
  onOpen() {}, // connected, for the first time or again: fetch what was missed
  onGap(gap) {}, // notifications were lost since gap.since, because of gap.reason: fetch them
  onState(state, why) {}, // "connecting", "open", "waiting" or "closed"; why the last two: {code, reason}

  // Milliseconds.
  baseDelay: 4_000, // before the nth attempt in a row a random part of baseDelay * 2^n ...
  maxDelay: 60_000, // ... or of this, if that is less
  stableAfter: 30_000, // a connection that held so long begins a new row
  openWithin: 20_000, // the token and the handshake together
  settle: 200, // a server that refuses after the handshake does so within this
  pingAfter: 25_000, // of silence: a page can't see the pings of WebSocket itself
  pongWithin: 10_000, // or the connection is dead
};

// final says which close codes would only come again: the page's own faults, and what the backend wants (1000, and
// 3000 and up). Of these 4401 asks for a fresh token, 4408 (too slow) and 4503 for another try.
function final(code) {
  if (code >= 3000) return ![4401, 4408, 4503].includes(code);
  return [1000, 1002, 1007, 1008, 1009].includes(code);
}

export function connect(url, getToken, options = {}) {
  const o = { ...defaults, ...options };
  let state;
  let socket;
  let attempt = 0; // the latest one's number: what an earlier one still says is not heard
  let failures = 0; // in a row
  let openedAt;
  let pinged; // and not answered yet
  let timer; // the only one, of whatever comes next

  function after(delay, next) {
    clearTimeout(timer);
    timer = setTimeout(next, delay);
  }

  function enter(next, why) {
    state = next;
    o.onState(state, why);
  }

  async function open() {
    const mine = ++attempt;
    const ifMine = (handle) => (event) => { if (mine === attempt) handle(event); };
    after(o.openWithin, () => lost({ code: 1006, reason: "not connected in time" }));
    enter("connecting");
    try {
      const token = await getToken();
      if (mine !== attempt) return;
      socket = new WebSocket(url, ["roost.v1", "bearer." + token]); // a token in the URL would be in proxies' logs
      socket.onopen = ifMine(() => after(o.settle, opened));
      socket.onmessage = ifMine((event) => received(JSON.parse(event.data)));
      socket.onclose = ifMine(lost);
    } catch (error) {
      ifMine(lost)({ code: 1006, reason: String(error) });
    }
  }

  function opened() {
    openedAt = performance.now();
    heard();
    enter("open");
    o.onOpen();
  }

  function received(message) {
    if (state === "connecting") opened();
    if (state !== "open") return; // onOpen has closed it
    heard();
    if (message.type === "_gap") o.onGap(message.payload);
    else if (message.type !== "pong" && !message.type.startsWith("_")) o.onNotification(message);
  }

  function heard() {
    pinged = false;
    after(o.pingAfter, ping);
  }

  function ping() {
    if (pinged) return;
    pinged = true;
    socket.send('{"type":"ping"}');
    after(o.pongWithin, () => lost({ code: 1006, reason: "no answer to a ping" }));
  }

  function lost({ code, reason }) {
    if (state === "open" && performance.now() - openedAt >= o.stableAfter) failures = 0;
    drop();
    if (final(code)) return end({ code, reason });
    // A random part of it all ("full jitter"): others have lost their connections at the same moment. A token that has
    // expired is replaced at once, but not over and over.
    const most = code === 4401 && failures === 0 ? 0 : Math.min(o.maxDelay, o.baseDelay * 2 ** failures);
    failures++;
    after(Math.random() * most, open);
    enter("waiting", { code, reason });
  }

  // drop forgets a connection without waiting for its close event: that of a dead one comes late.
  function drop() {
    attempt++;
    clearTimeout(timer);
    socket?.close();
    socket = undefined;
  }

  // wake looks at once, when there is reason to: timers are late while nobody sees the page, and stand still while the
  // machine sleeps.
  function wake({ type }) {
    if (state === "open") ping();
    if (state === "waiting" && type !== "offline") after(Math.random() * Math.min(o.baseDelay, 1000), open);
  }
  const wakeIfSeen = (event) => { if (!document.hidden) wake(event); };

  function listen(change) { // "addEventListener" or "removeEventListener"; a worker has no document
    for (const type of ["online", "offline"]) globalThis[change]?.(type, wake);
    globalThis.document?.[change]("visibilitychange", wakeIfSeen);
  }

  function end(why) {
    if (state === "closed") return;
    listen("removeEventListener");
    drop();
    enter("closed", why);
  }

  listen("addEventListener");
  open();
  return { close: () => end({ code: 1000, reason: "closed by the page" }) };
}
