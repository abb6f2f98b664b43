// The panel of `roost demo`: connects as a user, with the client that pages use, and publishes as a backend does.
import { element, get } from "./dom.js";
import { shown, time } from "./format.js";
import { connect } from "./roost.js";

const at = (id) => document.querySelector(id);
const post = (path, body, signal) => get(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), ...(signal && { signal }) });
const kept = 20; // lines

let connection;

// start shows the panel. url is where the WebSocket is.
export function start(url) {
  if (!at("#demo").hidden) return;
  at("#demo").hidden = false;
  at("#demo-connect").addEventListener("click", () => (connection ? leave() : join(url)));
  at("#demo-form").addEventListener("submit", publish);
}

function join(url) {
  const user = at("#demo-user").value;
  at("#demo-connect").textContent = "Disconnect";
  connection = connect(url, { token: async ({ signal }) => (await post("demo/token", { user }, signal)).token });
  connection.on("*", (notification) => log(`${user} got ${JSON.stringify(notification)}`));
  connection.on("gap", ({ reason }) => log(`${user} may have missed notifications: ${reason}`));
  connection.on("state", ({ state, code, reason }) => {
    at("#demo-state").textContent = shown(code ? `${state}: ${code} ${reason}` : `${user}: ${state}`);
    if (state === "closed") forget();
  });
}

function leave() {
  connection.close();
}

function forget() {
  connection = undefined;
  at("#demo-connect").textContent = "Connect as this user";
}

async function publish(event) {
  event.preventDefault();
  const user = at("#demo-user").value;
  const notification = { type: "greeting", payload: { text: at("#demo-text").value } };
  try {
    await post("demo/publish", { user, notification });
    log(`PUBLISH user_noti:${user} ${JSON.stringify(notification)}`);
  } catch (error) {
    log("not published: " + error.message);
  }
}

function log(text) {
  const lines = at("#demo-log");
  lines.prepend(element("li", {}, `${time(Date.now())} ${text}`));
  while (lines.childElementCount > kept) lines.lastElementChild.remove();
}
