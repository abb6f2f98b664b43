// Code that has to compile, and code that must not: tsc --strict says both.
import { connect, SessionOver, type Roost } from "roost-client";
import { fakeRoost } from "roost-client/testing";
import { keepRenewed, renewing } from "roost-client/renew";
import { roostStore } from "roost-client/svelte";
import { useRoost as useInReact, type UseRoost } from "roost-client/react";
import { useRoost as useInVue } from "roost-client/vue";

interface Types {
  greeting: { text: string };
  order: { id: number };
}

const roost = connect<Types>("wss://example.com/ws", {
  async token({ signal, reason }) {
    const why: "first" | "reconnect" | "expired" | "renew" = reason;
    const answer = await fetch("/token", { method: "POST", signal });
    if (answer.status === 401) throw new SessionOver(why);
    return answer.text();
  },
  sync: async ({ signal, since, reason }) => fetch(`/inbox?since=${since ?? ""}&why=${reason}`, { signal }),
  share: true,
  id: true,
  signal: new AbortController().signal,
  baseDelay: 1,
});
const off: () => void = roost.on("greeting", ({ payload, timestamp }) => payload.text + timestamp.length);
roost.on("*", (n) => (n.type === "greeting" ? n.payload.text : n.payload.id));
roost.on("state", ({ state, reason }) => state === "open" && reason?.length);
roost.on("gap", ({ since }) => since?.length);
const id: string | undefined = roost.id;
roost.on("state", (status) => status.id === id);
useInReact().id?.length;
off();
async function loop() {
  await roost.opened;
  for await (const n of roost) if (n.type === "order") return n.payload.id;
}
loop();
const any: Roost = connect(new URL("wss://example.com/ws"), { token: () => "t" });
any.on("whatever", ({ payload }) => payload.some.thing);
connect<Types>("wss://example.com/ws", renewing({ token: () => "t", share: true }));
const socket: WebSocket = keepRenewed(new WebSocket("wss://example.com/ws"), async ({ signal, reason }) => (signal.aborted ? "" : reason));
const fake = fakeRoost<Types>();
fake.notify("greeting", { text: "" });
const same: Roost<Types> = fake;
roostStore(same).subscribe(({ state }) => state.length);
const useTyped: UseRoost<Types> = useInReact;
useTyped("order", ({ payload }) => payload.id);
useInVue<Types>("wss://x", { token: () => "" }).status.value.state;

// @ts-expect-error: token is needed
connect("wss://example.com/ws", {});
// @ts-expect-error: the old arguments
connect("wss://example.com/ws", () => "token", {});
// @ts-expect-error: no such option
connect("wss://example.com/ws", { token: () => "", onOpen() {} });
// @ts-expect-error: renewing needs token too
renewing({ share: true });
// @ts-expect-error: no such type
roost.on("farewell", () => {});
// @ts-expect-error: no such member
roost.on("greeting", ({ payload }) => payload.texts);
// @ts-expect-error: another payload
fake.notify("order", { text: "" });
// @ts-expect-error: another payload, in a hook
useTyped("order", ({ payload }) => payload.text);
