/*! roost-client 1.0.0, (c) The Roost authors, MIT License */
import type { Options } from "roost-client";

/**
 * Options of connect with which its connections get a new token before the old one expires, where the server would end them
 * then (WS_CLOSE_ON_EXPIRY). token is called with the reason "renew". Where that fails the connection comes back as without.
 */
export function renewing<Given extends Options>(options: Given): Given;

/** The same for a WebSocket of your own that is not open yet, and that offers the sub-protocol roost.v1. Returns it. */
export function keepRenewed<Socket extends object>(socket: Socket, token: Options["token"]): Socket;
