/*! roost-client 1.0.0, (c) The Roost authors, MIT License */
import type { AnyTypes, Roost, State, Status } from "roost-client";

export interface FakeRoost<Types = AnyTypes> extends Roost<Types> {
  /** A notification comes. */
  notify<Type extends keyof Types & string>(type: Type, payload: Types[Type], timestamp?: string): void;
  /** The connection comes to this state. */
  enter(state: State, more?: Omit<Status, "state">): void;
  /** Something may have been missed. */
  gap(reason?: string, since?: string): void;
  /** How many listeners there are, so that a test sees that a component has removed its own. */
  readonly listeners: number;
}

/** A connection for tests, which does what the test says, at once, without a server. It is "connecting" at first. */
export function fakeRoost<Types = AnyTypes>(): FakeRoost<Types>;
