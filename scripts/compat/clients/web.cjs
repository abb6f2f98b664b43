// The WebSocket of the platform: bun, deno, Node 22, and what undici brings.
const url = globalThis.Deno ? Deno.args[0] : process.argv[2];
const exit = () => (globalThis.Deno ? Deno.exit(0) : process.exit(0));
const socket = new WebSocket(url);
socket.onopen = () => console.log("open");
socket.onmessage = (event) => console.log("message " + event.data);
socket.onclose = (event) => { console.log("closed " + event.code + (event.wasClean ? " clean" : " unclean")); exit(); };
socket.onerror = () => {};
