// Package fairness does what strangers, tenants and scrapers may do to a server, in bounded numbers and for a bounded
// time, while honest clients go on: new ones connect, those who are connected get their notifications, and /health and
// /metrics are asked. It measures which share of the honest is served; the others don't matter.
package fairness
