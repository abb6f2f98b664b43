// ws, the usual one in Node.
const WebSocket = require("ws");
const socket = new WebSocket(process.argv[2]);
socket.on("open", () => console.log("open"));
socket.on("message", (data) => console.log("message " + data));
socket.on("close", (code) => { console.log("closed " + code); process.exit(); });
socket.on("error", (error) => console.error(String(error)));
