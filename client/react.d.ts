/*! roost-client 1.0.0, (c) The Roost authors, MIT License */
import type { ReactElement, ReactNode } from "react";
import type { AnyTypes, Gap, Notification, Of, Options, Roost, Status } from "roost-client";

export type RoostProviderProps =
  | ({ url: string | URL; roost?: undefined; children?: ReactNode } & Options)
  /** A connection of your own, which the provider does not close; fakeRoost() in tests. */
  | { roost: Roost<any>; url?: undefined; children?: ReactNode };

/** Has the connection while it is mounted. Connects again when url or share change. */
export function RoostProvider(props: RoostProviderProps): ReactElement;

/** The result of useRoost: the connection of the provider. */
export type Connection<Types = AnyTypes> = Pick<Roost<Types>, "on" | "state" | "status" | "id" | "close">;

/** useRoost with the types of your notifications: `export const useNotifications: UseRoost<Types> = useRoost`. */
export interface UseRoost<Types> {
  (): Connection<Types>;
  (type: "*", listener: (notification: Of<Types>) => unknown): Connection<Types>;
  (type: "state", listener: (status: Status) => unknown): Connection<Types>;
  (type: "gap", listener: (gap: Gap) => unknown): Connection<Types>;
  <Type extends keyof Types & string>(type: Type, listener: (notification: Notification<Type, Types[Type]>) => unknown): Connection<Types>;
}

/** Calls listener while the component is mounted, as Roost.on does: the one that the latest rendering gave. */
export const useRoost: UseRoost<any>;

/** The state of the connection, and why. */
export function useRoostState(): Status;
