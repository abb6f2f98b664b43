// The console: what the server says of itself, every two seconds.
import { Chart } from "./chart.js";
import { element, get, table } from "./dom.js";
import { bytes, count, duration, milliseconds, rate, shown, words } from "./format.js";
import "./why.js";

const every = 2000; // milliseconds between two questions
const at = (id) => document.querySelector(id);

const charts = [
  new Chart("Connections", [{ name: "", of: (s) => s.connections }], count, 10),
  new Chart("Notifications a second", [{ name: "received", of: (s) => s.received }, { name: "sent", of: (s) => s.sent }], rate, 1),
  new Chart("From Redis to the socket", [{ name: "median", of: (s) => s.p50_ms }, { name: "99%", of: (s) => s.p99_ms }], milliseconds, 1),
  new Chart("Refused and closed a second", [{ name: "refused", of: (s) => s.refused }, { name: "closed", of: (s) => s.closed }], rate, 1),
];
at("#charts").append(...charts.map((chart) => chart.root));

let before = null; // the answer before
let samples = [];

async function refresh() {
  try {
    const since = samples.length > 0 ? samples.at(-1).t : 0;
    const now = await get("console.json?since=" + since);
    if (before && now.started !== before.started) samples = []; // another process
    samples = samples.concat(now.history).slice(-now.history_kept);
    show(now);
    before = now;
  } catch (error) {
    at("#trouble").textContent = "The server does not answer: " + error.message;
    at("#trouble").hidden = false;
    at("#status").textContent = "unknown";
    at("#status").className = "pill bad";
  }
  setTimeout(refresh, every);
}

function show(now) {
  at("#trouble").textContent = now.redis.error ? "Redis: " + shown(now.redis.error) : "";
  at("#trouble").hidden = !now.redis.error;
  at("#status").textContent = now.status;
  at("#status").className = "pill " + (now.status === "healthy" ? "good" : now.status === "draining" ? "warn" : "bad");
  at("#about").textContent = `${now.host} · version ${now.version} · up for ${duration(now.uptime_seconds)}`;
  at("#tiles").replaceChildren(...tiles(now));
  at("#limits").replaceChildren(...now.limits.map(limit));
  at("#reasons").replaceChildren(...reasons(now));
  charts.forEach((chart) => chart.update(samples));
  if (now.demo) import("./demo.js").then((demo) => demo.start(now.demo));
}

// tiles are the numbers of now; what happens in a second is counted since the answer before.
function tiles(now) {
  const old = before && before.started === now.started ? before : now;
  const seconds = (now.at - old.at) / 1000;
  const perSecond = (of) => (seconds > 0 ? rate((of(now.counters) - of(old.counters)) / seconds) : "–");
  const latest = samples.at(-1) ?? {};
  const redis = now.redis.status === "connected";
  return [
    tile("Connections", count(now.connections), `of ${count(now.limits[0].max)} at most; ${count(now.users)} ${now.users === 1 ? "user" : "users"}`),
    tile("Notifications", perSecond((c) => c.received), "a second, from Redis"),
    tile("Sent", perSecond((c) => c.sent), "a second, to connections"),
    tile("Latency", milliseconds(latest.p99_ms), `99% are faster; median ${milliseconds(latest.p50_ms)}`),
    tile("Not delivered", perSecond((c) => c.failed), `a second; ${count(now.waiting)} wait`, now.stalled > 0 ? `${count(now.stalled)} slow clients` : ""),
    tile("Busy", latest.busy === undefined ? "–" : Math.round(latest.busy * 100) + " %", "of its time, the busiest loop"),
    tile("Memory", bytes(now.memory_bytes), now.memory_per_connection_bytes > 0 ? `${bytes(now.memory_per_connection_bytes)} a connection` : "of the process"),
    tile("Redis", redis ? milliseconds(now.redis.ping_ms) : "away", redis ? "for a round trip" : "", "", redis ? "" : "bad"),
  ];
}

function tile(name, value, note = "", more = "", look = "") {
  return element("dl", { className: "tile" }, element("dt", {}, name), element("dd", { className: look }, value),
    element("dd", { className: "note" }, [note, more].filter(Boolean).join(" · ")));
}

function limit(one) {
  const share = one.max > 0 ? one.used / one.max : 0;
  const write = one.unit === "bytes" ? bytes : count;
  const look = share >= 0.95 ? "bad" : share >= 0.8 ? "warn" : "";
  const fill = element("i", { className: look });
  fill.style.width = Math.min(share, 1) * 100 + "%"; // a property, which the policy allows
  const amount = one.max > 0 ? `${write(one.used)} of ${write(one.max)}` : `${write(one.used)}, no limit`;
  return element("div", { className: "limit", title: one.variable ?? "" },
    element("p", {}, element("span", {}, one.name), element("span", { className: look }, amount)),
    element("div", { className: "bar" }, fill));
}

function reasons(now) {
  const kinds = [["Connections refused", now.refused], ["Connections closed", now.closed], ["Deliveries failed", now.failed], ["Notifications skipped", now.invalid]];
  const parts = kinds.flatMap(([title, byReason]) => {
    const rows = Object.entries(byReason).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
    if (rows.length === 0) return [];
    const columns = [{ head: title }, { head: "", number: true }];
    return [table(columns, rows.map(([reason, n]) => [words(reason), count(n)]))];
  });
  return parts.length > 0 ? parts : [element("p", { className: "quiet" }, "Nothing so far.")];
}

refresh();
