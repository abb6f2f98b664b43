/*! roost-client 1.0.0, (c) The Roost authors, MIT License */
// A token is replaced over the open connection before it expires, where the server ends the connection then and says when
// that is (WS_CLOSE_ON_EXPIRY): connect(url, renewing({ token, sync })). docs/frontend.md explains it.

const soon = 5_000; // milliseconds: sooner than this no token is replaced
const longest = 2 ** 31 - 1; // milliseconds that a timer can take: one of more ends at once

// renewing returns options of connect with which its connections renew their tokens.
export function renewing(options) {
  const Base = options?.WebSocket ?? globalThis.WebSocket;
  if (typeof Base !== "function" || typeof options?.token !== "function") return options; // connect says what is wrong
  function Renewed(url, protocols) {
    const socket = new Base(url, protocols);
    // A server's close frame would not have the reason, and that of a dead connection never comes.
    return keepRenewed(socket, (context) => options.token(context), (reason) => socket.onclose({ code: 4403, reason }));
  }
  return { ...options, WebSocket: Renewed };
}

// keepRenewed renews the token of a WebSocket that is not open yet, and returns the WebSocket. Where that fails, the server
// closes the connection when the old token expires. The WebSocket has to offer roost.v1. over is called when the session is.
export function keepRenewed(socket, token, over = (reason) => socket.close(4403, reason.slice(0, 40))) { // 123 bytes at most
  let ends; // when the connection ends with its token
  let next = Infinity; // when the next token is due
  let timer;
  let abort; // of token

  // plan chooses a random moment in the middle of the time that is left: not the same one for all pages that came together,
  // and with time for another try.
  function plan() {
    const left = ends - Date.now();
    next = left > soon ? Date.now() + Math.max(soon, Math.floor(left * (0.4 + 0.4 * Math.random()))) : Infinity;
    look();
  }

  // look goes by the clock: a machine that slept holds timers back.
  function look() {
    clearTimeout(timer);
    if (Date.now() >= next) return renew();
    if (next < Infinity) timer = setTimeout(look, Math.min(next - Date.now(), longest));
  }

  async function renew() {
    plan(); // the next try, if this one fails
    abort?.abort();
    const { signal } = abort = new AbortController();
    try {
      const given = await token({ signal, reason: "renew" });
      if (signal.aborted) return;
      const text = String(given ?? "").trim();
      if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)) throw new TypeError("roost: token() has to be a JWT, not " + kind(given, text));
      socket.send(JSON.stringify({ type: "auth", token: text }));
    } catch (error) {
      if (signal.aborted) return;
      if (error?.name === "SessionOver") over(String(error));
      else warn(error);
    }
  }

  function heard({ data }) {
    if (/^{"type":"_(hello|auth)"/.test(data)) {
      const { expires_in: left, ok, reason } = JSON.parse(data).payload;
      if (ok === false) warn("the new token was refused: " + reason);
      if (left) {
        ends = Date.now() + left * 1_000;
        plan();
      }
    }
    if (Date.now() >= next) look(); // a message comes before the timer where timers are late
  }

  function stop() {
    next = Infinity;
    clearTimeout(timer);
    abort?.abort();
  }

  const { close } = socket;
  socket.close = (...reason) => {
    stop(); // the close event of a dead connection comes late
    close.apply(socket, reason);
  };
  socket.addEventListener("message", heard);
  socket.addEventListener("close", stop);
  return socket;
}

// kind says what came in place of a token, and does not show it.
function kind(given, text) {
  if (given?.headers?.get) return `a Response (${given.status}, ${given.headers.get("content-type")}): return its text`;
  return text[0] === "<" ? "HTML" : text ? typeof given : "empty";
}

// warn says it once, as long as it is among the latest twenty.
const warned = new Set();
function warn(text) {
  if (warned.has(String(text))) return;
  warned.add(String(text));
  if (warned.size > 20) warned.delete(warned.values().next().value);
  console.warn("roost: " + text);
}
