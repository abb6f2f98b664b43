// The panel that says why a user gets nothing.
import { element, get, table } from "./dom.js";
import { bytes, duration, milliseconds, time, words } from "./format.js";

const form = document.querySelector("#why"), answer = document.querySelector("#why-answer");
const again = 2000; // milliseconds between two looks at the same user
let timer;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  look(form.elements.user.value);
});

async function look(user) {
  clearTimeout(timer);
  try {
    show(await get("why?user=" + encodeURIComponent(user)));
    timer = setTimeout(look, again, user);
  } catch (error) {
    answer.replaceChildren(element("p", { className: "verdict bad" }, error.message));
  }
  answer.hidden = false;
}

function show(why) {
  answer.replaceChildren(element("div", {},
    element("p", { className: "verdict" }, why.verdict),
    why.problem ? element("p", { className: "bad" }, "Incomplete: " + why.problem) : null,
    element("h3", {}, `Connections to this server: ${why.connections}`),
    why.open.length > 0 ? connections(why.open) : null,
    element("h3", {}, `Notifications since ${time(why.watched_since)} UTC: ${why.notifications}`),
    why.latest.length > 0 ? notifications(why.latest.toReversed()) : null));
}

function connections(open) {
  const columns = [{ head: "Open for" }, { head: "From" }, { head: "Last heard" }, { head: "Waiting", number: true }, { head: "Takes nothing for" }, { head: "Groups" }];
  return table(columns, open.map((c) => [
    duration((Date.now() - new Date(c.since)) / 1000), c.remote + how(c), duration(c.heard_seconds) + " ago",
    c.waiting ? `${c.waiting} (${bytes(c.waiting_bytes)})` : "0",
    c.stalled_seconds ? element("span", { className: "bad" }, duration(c.stalled_seconds)) : "–",
    (c.groups ?? []).map((group) => (c.joined?.includes(group) ? `${group} (joined)` : group)).join(", ") || "–",
  ]));
}

// how says what a connection is beyond a plain WebSocket.
function how(c) {
  const parts = [c.transport, c.tls && "TLS " + c.tls].filter(Boolean);
  return parts.length > 0 ? ` (${parts.join(", ")})` : "";
}

const looks = { sent: "good", queued: "warn", offline: "warn", dropped: "bad", closed: "bad", invalid: "bad" };

function notifications(latest) {
  const columns = [{ head: "At (UTC)" }, { head: "Outcome" }, { head: "Type" }, { head: "Size", number: true }, { head: "" }];
  return table(columns, latest.map((n) => [
    new Date(n.at).toISOString().slice(11, 23), element("span", { className: looks[n.outcome] }, n.outcome), n.type ?? "", bytes(n.bytes), details(n),
  ]));
}

function details(n) {
  if (n.problem) return words(n.problem);
  const parts = [`sent to ${n.sent} of ${n.connections}`];
  if (n.queued) parts.push(`${n.queued} queued`);
  for (const [reason, many] of Object.entries(n.failed ?? {})) parts.push(`${many} ${words(reason)}`);
  if (n.took_ms) parts.push(milliseconds(n.took_ms));
  if (n.replayed) parts.push("replayed to a connection that had missed it");
  if (n.via) parts.push(`for ${n.via}`);
  return parts.join(", ");
}
