/*! roost-client 1.0.0, (c) The Roost authors, MIT License */
import type { ShallowRef } from "vue";
import type { AnyTypes, Options, Roost, Status } from "roost-client";

export interface Connection<Types = AnyTypes> extends Pick<Roost<Types>, "on" | "close"> {
  /** The state of the connection, and why. */
  status: Readonly<ShallowRef<Status>>;
}

/**
 * With an address: has the connection while this component is mounted. With a connection of your own (fakeRoost() in
 * tests), which it does not close: listens to that. Without: uses the one of a component above. Call it in setup; what
 * on has added goes with the component.
 */
export function useRoost<Types = AnyTypes>(url: string | URL, options: Options): Connection<Types>;
export function useRoost<Types = AnyTypes>(roost?: Roost<any>): Connection<Types>;
