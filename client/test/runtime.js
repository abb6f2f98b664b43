// Connects where there is no page, says what happens, one line each, and ends when it is told to: node runtime.js URL TOKEN
import { createRequire } from "node:module";
import { connect } from "../roost.js";

const WebSocket = globalThis.WebSocket ?? createRequire(import.meta.url)("ws");
const [url, token] = process.argv.slice(2);
const roost = connect(url, { token: () => token, sync: ({ reason }) => console.log("sync", reason), WebSocket, baseDelay: 20 });
roost.on("state", ({ state }) => console.log(state));
for await (const { payload } of roost) {
  console.log("message", payload);
  if (payload === "bye") roost.close();
}
console.log("end");
