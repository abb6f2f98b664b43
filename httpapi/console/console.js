// The console: the server's figures, every two seconds.
import { Chart } from "./chart.js";
import { element, get, table } from "./dom.js";
import { bytes, count, counted, duration, milliseconds, rate, shown, since, words } from "./format.js";
import { allow } from "./publish.js";
import "./why.js";

const every = 2000; // milliseconds between two questions
const at = (id) => document.querySelector(id);

const charts = [
  new Chart("Connections", [{ name: "", of: (s) => s.connections }], count, 10),
  new Chart("Notifications/s", [{ name: "from Redis", of: (s) => s.received }, { name: "sent to connections", of: (s) => s.sent }], rate, 1),
  new Chart("Latency, Redis to socket", [{ name: "median", of: (s) => s.p50_ms }, { name: "p99", of: (s) => s.p99_ms }], milliseconds, 1),
  new Chart("Refused and closed/s", [{ name: "refused", of: (s) => s.refused }, { name: "closed", of: (s) => s.closed }], rate, 1),
];
at("#charts").append(...charts.map((chart) => chart.root));

// The charts show a range of the server's history, or the end of one.
const ranges = [
  { text: "10 min", name: "hour", seconds: 600 }, { text: "1 h", name: "hour" }, { text: "24 h", name: "day" }, { text: "7 d", name: "week" },
];
let chosen = ranges[1];
at("#ranges").append(...ranges.map((range) => {
  const input = element("input", { type: "radio", name: "range", checked: range === chosen });
  input.addEventListener("change", () => choose(range));
  return element("label", {}, input, element("span", {}, range.text));
}));

function choose(range) {
  if (range.name !== chosen.name) samples = [];
  chosen = range;
  if (samples.length > 0) draw();
  else refresh();
}

// draw shows the chosen part of the history.
function draw() {
  const first = chosen.seconds ? (samples.at(-1)?.t ?? 0) - chosen.seconds : 0;
  charts.forEach((chart) => chart.update(samples.filter((s) => s.t > first), current.history_every_seconds));
}

const staleAfter = 3 * every; // without an answer

let current = null; // the latest answer
let before = null; // the one that rates are counted from
let samples = [];
let answered = Date.now(); // when the latest answer came; at first, when the page was loaded
let failure = ""; // what came in place of the latest
let timer; // of the next question
let asked = 0; // questions so far

async function refresh() {
  clearTimeout(timer);
  const question = ++asked;
  try {
    const last = samples.at(-1)?.t ?? 0;
    const now = await get(`console.json?since=${last}&range=${chosen.name}`);
    if (question !== asked) return; // another range was chosen meanwhile
    if (before && now.started !== before.started) samples = []; // another process
    samples = samples.concat(now.history).slice(-now.history_kept);
    answered = Date.now();
    failure = "";
    show(now);
    if (before?.at !== now.at) before = now; // the same reading again says nothing of a second
    current = now;
    draw();
  } catch (error) {
    if (question !== asked) return;
    failure = error.message;
  }
  judge();
  timer = setTimeout(refresh, every);
}

function show(now) {
  at("#about").textContent = `${now.host} · version ${now.version} · up for ${duration(now.uptime_seconds)}`;
  at("#tiles").replaceChildren(...tiles(now));
  at("#limits").replaceChildren(...now.limits.map(limit));
  at("#reasons").replaceChildren(...reasons(now));
  if (before?.at !== now.at) at("#loops").replaceChildren(...loops(now));
  allow(now.may_publish);
  at("#start").hidden = Boolean(now.demo) || now.connections > 0;
  if (now.demo) import("./demo.js").then((demo) => demo.start(now.demo));
}

// judge says what is wrong, in words, in the title and with the icon. It is called every second, since no answer is an
// answer too.
function judge() {
  const stale = failure !== "" || Date.now() - answered > staleAfter;
  const all = stale ? [silence()] : current ? troubles(current) : [];
  const worst = all.find((one) => one.look === "bad") ?? all[0];
  document.body.classList.toggle("stale", stale);
  const status = stale ? "no answer" : current?.status ?? "connecting…";
  if (at("#status").textContent !== status) at("#status").textContent = status; // or it is read out again
  at("#status").className = "pill " + (stale ? "bad" : { healthy: "good", draining: "warn", degraded: "bad" }[current?.status] ?? "");
  document.title = (worst ? worst.short + " · " : "") + (current?.host ? `Roost ${shown(current.host)}` : "Roost");
  const icon = `console/icon${worst ? "-" + worst.look : ""}.svg`;
  if (at("link[rel=icon]").getAttribute("href") !== icon) at("link[rel=icon]").href = icon; // or it is fetched again
  const notices = all.map(notice);
  if (notices.map((n) => n.textContent).join("") !== at("#troubles").textContent) at("#troubles").replaceChildren(...notices);
}

function notice({ text, look, help }) {
  const link = help ? element("a", { href: "docs/operations.md#" + help.toLowerCase() }, "What to do") : null;
  return element("p", { className: "notice " + look }, text, link && " ", link);
}

function silence() {
  const why = failure ? ": " + failure : "";
  const text = current ? `The server has not answered ${since(answered)}${why}. The numbers below are from then.` : `The server does not answer${why}.`;
  return { short: "No answer", look: "bad", text: text + " RoostDown in docs/operations.md says what to do." }; // a link would lead to this server
}

// troubles are what is wrong by the server's own account, the worst first.
function troubles(now) {
  const all = [];
  if (now.status === "draining") all.push({ short: "Draining", look: "warn", text: "The server is stopping: it takes no new connections, and closes those that are open." });
  if (now.redis.status !== "connected") {
    const when = now.redis.since ? " " + since(now.redis.since) : "";
    const why = now.redis.error ? ": " + now.redis.error : "";
    all.push({ short: "Redis away", look: "bad", text: `Redis is away${when}${why}. Connections stay open; what is published meanwhile is lost.`, help: "RoostRedisDown" });
  }
  if (now.token_keys) all.push({ short: "No token keys", look: "bad", text: `Tokens can't be checked: ${now.token_keys.error}.`, help: "RoostTokenKeysStale" });
  for (const one of now.limits) {
    if (one.max <= 0 || one.cycle || one.used < full * one.max) continue;
    const { used, max } = amounts(one);
    all.push({ short: one.name + " nearly full", look: "warn", text: `${one.name}: ${used} of ${max}${one.variable ? ` (${one.variable})` : ""}.`, help: one.help });
  }
  const { resume } = now;
  if (resume && resume.window_seconds < 0.9 * resume.wanted_seconds && resume.bytes > 0.8 * resume.room) {
    const text = `Clients can resume for ${duration(Math.round(resume.window_seconds))}, not ${duration(resume.wanted_seconds)}: more is published than WS_RESUME_BYTES can keep.`;
    all.push({ short: "Resume is short", look: "warn", text, help: "RoostResumeShort" });
  }
  return all;
}

// tiles are the present numbers; rates are counted since the answer before.
function tiles(now) {
  const old = before && before.started === now.started ? before : now;
  const seconds = (now.at - old.at) / 1000;
  const perSecond = (of) => (seconds > 0 ? rate((of(now.counters) - of(old.counters)) / seconds) : "–");
  const latest = now.latest ?? {};
  const redis = now.redis.status === "connected";
  return [
    tile("Connections", count(now.connections), `of ${count(now.limits[0].max)} at most; ${counted(now.users, "user")}`),
    tile("Notifications/s", perSecond((c) => c.received), "from Redis"),
    tile("Deliveries/s", perSecond((c) => c.sent), "sent to connections"),
    tile("Failed deliveries/s", perSecond((c) => c.failed), `${count(now.waiting)} wait`, now.stalled > 0 ? counted(now.stalled, "slow client") : ""),
    tile("Latency p99", milliseconds(latest.p99_ms), `median ${milliseconds(latest.p50_ms)}, in the last 10 s`),
    tile("Busiest loop", latest.busy === undefined ? "–" : Math.round(latest.busy * 100) + " %", "of its time"),
    tile("Memory", bytes(now.memory_bytes), now.memory_per_connection_bytes > 0 ? `${bytes(now.memory_per_connection_bytes)} a connection` : "of the process"),
    tile("Redis", redis ? milliseconds(now.redis.ping_ms) : "away", redis ? `for a round trip; ${counted(now.counters.gaps, "gap")}` : now.redis.since ? since(now.redis.since) : "", "", redis ? "" : "bad"),
    ...(now.resume ? [resumeTile(now.resume)] : []),
  ];
}

// loops are the feed and each loop: how busy since the answer before, and how its last minutes were.
function loops(now) {
  const old = before && before.started === now.started ? before : null;
  const seconds = old ? (now.at - old.at) / 1000 : 0;
  const row = (name, busy, busyBefore, waits, history) => {
    const share = seconds > 0 && busyBefore !== undefined ? Math.min(1, Math.max(0, (busy - busyBefore) / seconds)) : undefined;
    const look = share >= full ? "bad" : share >= 0.8 ? "warn" : "";
    const fill = element("i", { className: look });
    fill.style.width = (share ?? 0) * 100 + "%";
    const most = history.length > 0 ? `, peak ${Math.round(Math.max(...history) * 100)} %` : "";
    const note = share === undefined ? "–" : `${Math.round(share * 100)} %${most}${waits > 0 ? `; ${count(waits)} wait` : ""}`;
    return element("div", { className: "limit" },
      element("p", {}, element("span", {}, name), element("span", { className: look }, note)), element("div", { className: "bar" }, fill));
  };
  const recent = chosen.name === "hour" ? samples.slice(-60) : [];
  return [
    row("Feed, which reads Redis", now.feed_busy_seconds, old?.feed_busy_seconds, 0, []),
    ...now.loops.map((loop, i) => row(`Loop ${i}`, loop.busy_seconds, old?.loops[i]?.busy_seconds, loop.mailbox, recent.map((s) => s.loops[i] ?? 0))),
  ];
}

// resumeTile shows how far back clients can resume, and how that went since the start.
function resumeTile(resume) {
  return tile("Resume", duration(Math.round(resume.window_seconds)), `of ${duration(resume.wanted_seconds)}; ${bytes(resume.bytes)} of ${bytes(resume.room)}`,
    `${count(resume.resumed)} resumed, ${counted(resume.gaps, "gap")}`);
}

function tile(name, value, note = "", more = "", look = "") {
  return element("dl", { className: "tile" }, element("dt", {}, name), element("dd", { className: look }, value),
    element("dd", { className: "note" }, [note, more].filter(Boolean).join(" · ")));
}

const full = 0.95; // of a limit

function amounts(one) {
  const write = one.unit === "bytes" ? bytes : count;
  return { used: write(one.used), max: write(one.max) };
}

function limit(one) {
  const share = one.max > 0 ? one.used / one.max : 0;
  const { used, max } = amounts(one);
  const look = one.cycle ? "" : share >= full ? "bad" : share >= 0.8 ? "warn" : "";
  const fill = element("i", { className: look });
  fill.style.width = Math.min(share, 1) * 100 + "%"; // a property, which the policy allows
  const amount = one.max > 0 ? `${used} of ${max}${one.cycle ? ", full by design" : ""}` : `${used}, no limit`;
  const title = [one.variable, one.cycle && "full in normal service: the oldest makes room"].filter(Boolean).join(": ");
  return element("div", { className: "limit", title },
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
setInterval(judge, 1000);
