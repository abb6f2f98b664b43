// Package subs counts the connections of each user and knows how far the subscription to each user's channel is. It does no
// I/O: its caller takes from it which users to subscribe and unsubscribe, sends the commands, and tells it what Redis
// answered and which links were lost.
//
// A user has at most one command under way, so an answer is never taken for that of another command:
//
//	Acquire ──▶ unsubscribed ──Subscribing──▶ subscribing ──Confirmed──▶ subscribed
//	                 ▲  ▲                          │                         │ Expire
//	                 │  └──Refused, LinkLost───────┘                         ▼
//	                 └──────Ended (a connection came meanwhile)─────── unsubscribing ──Ended──▶ forgotten
//
// [Subscriptions] is for any goroutine, as is [LinkWait], which lets those wait who come while there is no link. [Commands]
// is the queue of what is sent on one link.
package subs
