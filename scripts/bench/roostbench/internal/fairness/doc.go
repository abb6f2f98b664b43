// Package fairness does what strangers, tenants and scrapers may do to a server, in bounded numbers and for a bounded
// time, while honest clients go on: new ones connect, those who are connected get their notifications, and /health and
// /metrics are asked. What matters is which share of the honest is served; what becomes of the others does not.
package fairness
