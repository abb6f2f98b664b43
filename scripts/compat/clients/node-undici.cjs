// undici, whose WebSocket is the one that Node has from version 22 on.
globalThis.WebSocket = require("undici").WebSocket;
require("./web.cjs");
