/*! roost-client 1.0.0, (c) The Roost authors, MIT License */
// Roost in Vue: a component gives useRoost the address and has the connection while it is mounted; all below it use it.
import { getCurrentInstance, inject, onMounted, onScopeDispose, provide, readonly, shallowRef } from "vue";
import { lazy } from "./lazy.js";

const key = Symbol("roost");

export function useRoost(source, options) {
  let connection;
  if (source === undefined) {
    connection = inject(key, undefined);
    if (!connection) throw new Error("roost: useRoost() has to be below a component that gives useRoost the address");
  } else {
    connection = lazy(source, () => options);
    provide(key, connection);
    if (getCurrentInstance()) onMounted(connection.start); // which never comes on a server
    onScopeDispose(connection.stop);
  }
  const status = shallowRef(connection.status);
  const on = (type, listener) => {
    const off = connection.on(type, listener);
    onScopeDispose(off);
    return off;
  };
  on("state", () => { status.value = connection.status; });
  return { on, status: readonly(status), close: connection.close };
}
