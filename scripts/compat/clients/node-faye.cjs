// faye-websocket.
const { Client } = require("faye-websocket");
const socket = new Client(process.argv[2]);
socket.on("open", () => console.log("open"));
socket.on("message", (event) => console.log("message " + event.data));
socket.on("close", (event) => { console.log("closed " + event.code); process.exit(); });
socket.on("error", (error) => console.error(error.message));
