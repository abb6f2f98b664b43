/*! roost-client 1.0.0, (c) The Roost authors, MIT License */
import { connect } from "roost-client";
import { renewing } from "./renew.js";

const idle = { state: "connecting" };

// lazy is a connection that components can listen to before it is there: where a page is rendered on a server it never
// will be. source is a URL, or a connection of the page's own, which nobody but the page closes. options are asked for
// when it starts.
export function lazy(source, options) {
  const entries = new Set();
  let roost;

  function start() {
    if (roost) return;
    roost = typeof source?.on === "function" ? source : connect(source, renewing(options()));
    const { status } = roost;
    for (const entry of entries) {
      entry.off = roost.on(entry.type, entry.listener);
      if (entry.type === "state") Promise.resolve(status).then(entry.listener);
    }
  }

  // stop is for components that go: they hear of nothing any more. It can start again.
  function stop() {
    for (const entry of entries) entry.off?.();
    if (roost !== source) roost?.close();
    roost = undefined;
  }

  function on(type, listener) {
    const entry = { type, listener, off: roost?.on(type, listener) };
    entries.add(entry);
    return () => {
      entry.off?.();
      entries.delete(entry);
    };
  }

  return {
    start,
    stop,
    on,
    close: () => roost?.close(),
    get status() { return roost?.status ?? idle; },
    get state() { return this.status.state; },
    get id() { return roost?.id; },
  };
}
