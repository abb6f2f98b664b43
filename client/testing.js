/*! roost-client 1.0.0, (c) The Roost authors, MIT License */
// A connection for tests: it does what the test says, at once, and needs no server.
export function fakeRoost() {
  const listeners = new Set();
  let status = { state: "connecting" };
  let id;
  let settle;
  const opened = new Promise((resolve, reject) => { settle = { resolve, reject }; });
  opened.catch(() => {});

  const emit = (types, value) => [...listeners].forEach(([type, listener]) => types.includes(type) && listener(value));

  function on(type, listener) {
    const entry = [type, listener];
    listeners.add(entry);
    return () => { listeners.delete(entry); };
  }

  function enter(state, more) {
    if (status.state === "closed") return;
    status = { state, ...more };
    if (state === "open") {
      ({ id } = status);
      settle.resolve();
    }
    if (state === "closed") settle.reject(new Error(status.reason));
    emit(["state"], status);
  }

  function notify(type, payload, timestamp = new Date().toISOString()) {
    if (status.state !== "closed") emit(["*", ["state", "gap"].includes(type) || type], { type, payload, timestamp });
  }

  async function* iterate() {
    const queue = [];
    let next;
    const offs = ["*", "state"].map((type) => on(type, (value) => { queue.push(value); next?.(); }));
    try {
      while (queue.length || status.state !== "closed") {
        const value = queue.shift();
        if (!value) await new Promise((resolve) => { next = resolve; });
        else if (value.type) yield value;
      }
    } finally {
      offs.forEach((off) => off());
    }
  }

  return {
    on,
    opened,
    get state() { return status.state; },
    get status() { return status; },
    get id() { return id; },
    close: () => enter("closed", { code: 1000, reason: "closed by the page" }),
    [Symbol.asyncIterator]: iterate,
    enter,
    notify,
    gap: (reason = "reconnect", since = undefined) => emit(["gap"], { reason, since }),
    get listeners() { return listeners.size; },
  };
}
