// The panel that publishes and disconnects, for those who may: POST /publish, as a backend without a Redis client does it.
import { element, get } from "./dom.js";
import { counted } from "./format.js";

const at = (id) => document.querySelector(id);
const sureFor = 5000; // milliseconds in which a second click disconnects

// allow shows the forms to those who may use them, and to others how they may.
export function allow(may) {
  at("#publish-form").hidden = at("#disconnect-form").hidden = !may;
  at("#publish-closed").hidden = may;
}

const publishTo = at("#publish-to"), publishName = at("#publish-name");

publishTo.addEventListener("change", () => {
  const everyone = publishTo.value === "everyone";
  publishName.hidden = publishName.disabled = everyone;
  publishName.placeholder = publishTo.value === "group" ? "room:42" : "alice";
});

at("#publish-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const payload = parsed(at("#publish-payload").value);
  if (payload instanceof Error) return say("#publish-answer", "The payload is not JSON: " + payload.message, "bad");
  const recipient = publishTo.value === "everyone" ? { everyone: true } : { [publishTo.value]: publishName.value };
  await send("#publish-answer", event.target.querySelector("button"), { ...recipient, notification: { type: at("#publish-type").value, payload } }, "Published");
});

const disconnect = at("#disconnect-form"), button = disconnect.querySelector("button");
let sure; // the timer after which a click asks again

disconnect.addEventListener("submit", async (event) => {
  event.preventDefault();
  const user = at("#disconnect-user").value;
  if (sure === undefined) {
    button.textContent = "Yes, disconnect";
    say("#disconnect-answer", `This closes all connections of ${user}, on every server. Click again to do it.`, "warn");
    sure = setTimeout(calm, sureFor);
    return;
  }
  calm();
  const command = { code: Number(at("#disconnect-code").value), reason: at("#disconnect-reason").value };
  await send("#disconnect-answer", button, { user, disconnect: command }, `Told to disconnect ${user}`);
});
disconnect.addEventListener("input", calm); // another user is another question

function calm() {
  clearTimeout(sure);
  sure = undefined;
  button.textContent = "Disconnect";
  say("#disconnect-answer", "");
}

// send publishes one publication, and says what came of it.
async function send(answer, submitter, publication, done) {
  submitter.disabled = true;
  try {
    const { receivers } = await get("publish", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(publication) });
    const servers = receivers[0];
    const heard = servers === null ? "" : servers === 0 ? ", and no server heard it" : `, heard by ${counted(servers, "server")}`;
    say(answer, `${done}${heard}.`, servers === 0 ? "warn" : "good");
  } catch (error) {
    say(answer, "Refused: " + error.message, "bad");
  }
  submitter.disabled = false;
}

function say(where, text, look = "") {
  at(where).replaceChildren(text === "" ? "" : element("span", { className: look }, text));
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    return error;
  }
}
