// websocket, by theturtle32.
const { client: Client } = require("websocket");
const client = new Client();
client.on("connectFailed", (error) => { console.error(String(error)); process.exit(1); });
client.on("connect", (connection) => {
  console.log("open");
  connection.on("message", (message) => console.log("message " + message.utf8Data));
  connection.on("close", (code) => { console.log("closed " + code); process.exit(); });
});
client.connect(process.argv[2]);
