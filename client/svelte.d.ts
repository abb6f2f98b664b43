/*! roost-client 1.0.0, (c) The Roost authors, MIT License */
import type { AnyTypes, Options, Roost, Status } from "roost-client";

export interface RoostStore<Types = AnyTypes> extends Pick<Roost<Types>, "on" | "close"> {
  /** What `$roost` is: the state of the connection, and why. */
  subscribe(run: (status: Status) => void): () => void;
}

/** A store that has the connection while somebody subscribes or listens, and never on a server. */
export function roostStore<Types = AnyTypes>(url: string | URL, options: Options): RoostStore<Types>;
/** The same for a connection of your own, which it does not close; fakeRoost() in tests. */
export function roostStore<Types = AnyTypes>(roost: Roost<any>): RoostStore<Types>;
