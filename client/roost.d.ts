/*! roost-client 1.0.0, (c) The Roost authors, MIT License */

/** A message that a backend has published. */
export interface Notification<Type extends string = string, Payload = any> {
  type: Type;
  payload: Payload;
  /** When Roost got it, in RFC 3339. */
  timestamp: string;
  /** Its position, from a server that can resume: Roost sends none today. */
  id?: string;
}

/**
 * The types of your notifications and their payloads, for connect<Types>():
 *
 *     interface Types { greeting: { text: string } }
 */
export type AnyTypes = Record<string, any>;
/** Any of the notifications. */
export type Of<Types> = { [Type in keyof Types & string]: Notification<Type, Types[Type]> }[keyof Types & string];

export type State = "connecting" | "open" | "waiting" | "closed";

export interface Status {
  state: State;
  /** Why it is "waiting" or "closed": a close code, 1006 where no close frame came. */
  code?: number;
  reason?: string;
  /** "waiting": milliseconds until the next attempt. */
  delay?: number;
  /** "open": whether the server has sent what was missed. */
  resumed?: unknown;
  /** "open": the id of the connection, with the option id. */
  id?: string;
}

/** Notifications may have been missed. */
export interface Gap {
  /** "reconnect", "overflow" (too many had to be held back), or what the server says: "slow_consumer", "queue_full", "redis", "broadcast". */
  reason: string;
  /**
   * Nothing that was published before is missing, by the server's clock: the timestamp of the last notification that your listeners got,
   * or an earlier time; undefined if none came and the server names no time.
   */
  since?: string;
}

export interface Options {
  /**
   * Returns a JWT of your backend; called before every attempt, and by roost-client/renew for the open connection. Pass signal on to fetch: it is aborted when the attempt
   * has taken too long, and when the connection is closed. Throw SessionOver when the user is signed out.
   */
  token(context: { signal: AbortSignal; reason: "first" | "reconnect" | "expired" | "renew" }): string | Promise<string>;
  /**
   * Fetches what may have been missed from your backend. Called once when the connection opens for the first time
   * ("first"), and for each Gap; again, with backoff, until it has succeeded. Notifications wait meanwhile.
   */
  sync?(context: { signal: AbortSignal; since?: string; reason: string }): unknown;
  /** One connection for all tabs of this browser: true, or the user's name where tabs may have different users. */
  share?: boolean | string;
  /** Asks the server for the id of the connection, which a backend names in "only" and "except". */
  id?: boolean;
  /** Where there is no WebSocket, as in Node before 22, or for tests. */
  WebSocket?: unknown;
  /** Closes the connection. */
  signal?: AbortSignal;
  /** Milliseconds; see docs/frontend.md. */
  baseDelay?: number;
  maxDelay?: number;
  stableAfter?: number;
  openWithin?: number;
  pingAfter?: number;
  pongWithin?: number;
  answerWithin?: number;
}

export interface Roost<Types = AnyTypes> extends AsyncIterable<Of<Types>> {
  /** Calls listener for every notification of a type, or, with "*", of all types. Returns what removes the listener. */
  on(type: "*", listener: (notification: Of<Types>) => unknown): () => void;
  on(type: "state", listener: (status: Status) => unknown): () => void;
  on(type: "gap", listener: (gap: Gap) => unknown): () => void;
  on<Type extends keyof Types & string>(type: Type, listener: (notification: Notification<Type, Types[Type]>) => unknown): () => void;
  readonly state: State;
  readonly status: Status;
  /** The id of the connection, with the option id, once it is open; it keeps it when it comes back. Tabs that share have the same. */
  readonly id: string | undefined;
  /** Settles when the connection is open for the first time, or is closed before. */
  readonly opened: Promise<void>;
  /** Closes the connection for good. */
  close(): void;
}

/** Connects to Roost, from the next moment on. Wrong arguments throw a TypeError. */
export function connect<Types = AnyTypes>(url: string | URL, options: Options): Roost<Types>;

/** Thrown by token or sync: the user is signed out, and the connection ends for good. */
export class SessionOver extends Error {}
