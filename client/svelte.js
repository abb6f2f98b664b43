/*! roost-client 1.0.0, (c) The Roost authors, MIT License */
// Roost in Svelte: a store whose value is the connection's status, and which connects while somebody subscribes or
// listens. It needs nothing of Svelte.
import { lazy } from "./lazy.js";

export function roostStore(source, options) {
  const connection = lazy(source, () => options);
  let users = 0;

  function use(start) {
    users++;
    // Nobody sees a page that is rendered on a server.
    if (globalThis.document) connection.start();
    const off = start();
    return () => {
      if (!off) return;
      off();
      // One component goes and the next one comes in the same moment.
      setTimeout(() => { if (--users === 0) connection.stop(); });
    };
  }

  return {
    on: (type, listener) => use(() => connection.on(type, listener)),
    subscribe: (run) => use(() => {
      run(connection.status);
      return connection.on("state", run);
    }),
    close: connection.close,
  };
}
