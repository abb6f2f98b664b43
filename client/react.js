/*! roost-client 1.0.0, (c) The Roost authors, MIT License */
// Roost in React: a provider that has the connection while it is mounted, and hooks for all below it.
import { createContext, createElement, useContext, useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import { lazy } from "./lazy.js";

const Context = createContext(undefined);

export function RoostProvider({ url, roost, children, ...options }) {
  const latest = useLatest(options);
  const { share } = options;
  const connection = useMemo(() => lazy(roost ?? url, () => ({
    ...latest.current,
    token: (context) => latest.current.token(context),
    sync: latest.current.sync && ((context) => latest.current.sync?.(context)),
  })), [roost, String(url), share]); // a new URL object is the same URL
  useEffect(() => {
    connection.start(); // after the effects of all below, which listen by now
    return connection.stop;
  }, [connection]);
  return createElement(Context.Provider, { value: connection }, children);
}

export function useRoost(type, listener) {
  const connection = useContext(Context);
  const latest = useLatest(listener);
  if (!connection) throw new Error("roost: useRoost has to be below a <RoostProvider>");
  useEffect(() => type && connection.on(type, (value) => latest.current(value)), [connection, type]);
  return connection;
}

export function useRoostState() {
  const connection = useRoost();
  const status = () => connection.status;
  return useSyncExternalStore((changed) => connection.on("state", changed), status, status);
}

// useLatest keeps what the latest rendering gave, so that a function written in the markup is no reason to connect again.
function useLatest(value) {
  const ref = useRef(value);
  useEffect(() => { ref.current = value; });
  return ref;
}
