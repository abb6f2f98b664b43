package httpapi

import (
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"
)

// Limit is something that there can be too much of.
type Limit struct {
	Name     string `json:"name"`               // in words
	Variable string `json:"variable,omitempty"` // that sets it
	Unit     string `json:"unit,omitempty"`     // "bytes", or "" for a count
	Used     int64  `json:"used"`
	Max      int64  `json:"max"` // 0: no limit

	Help  string `json:"help,omitempty"`  // the heading in docs/operations.md that says what to do when it is used up
	Cycle bool   `json:"cycle,omitempty"` // it is full in normal service, and the oldest makes room
}

// Overview is what the console and roost top ask for every two seconds. It is the JSON of /console.json.
type Overview struct {
	At      int64  `json:"at"`      // Unix milliseconds
	Started int64  `json:"started"` // of the process, the same
	Host    string `json:"host"`
	Version string `json:"version"`
	Uptime  int64  `json:"uptime_seconds"`

	Status    string         `json:"status"`
	Redis     redisJSON      `json:"redis"`
	TokenKeys *tokenKeysJSON `json:"token_keys,omitempty"`

	Connections int              `json:"connections"`
	Users       int              `json:"users"`
	Waiting     int              `json:"waiting"` // deliveries
	Stalled     int              `json:"stalled"` // connections that the kernel takes nothing for
	Memory      int              `json:"memory_bytes"`
	MemoryEach  float64          `json:"memory_per_connection_bytes"` // 0 while there are few
	Counters    OverviewCounters `json:"counters"`
	Loops       []OverviewLoop   `json:"loops"`
	FeedBusy    float64          `json:"feed_busy_seconds"` // since the start: the feed was not waiting for Redis
	Limits      []Limit          `json:"limits"`
	Resume      *OverviewResume  `json:"resume,omitempty"`

	Refused map[string]uint64 `json:"refused"`
	Closed  map[string]uint64 `json:"closed"`
	Failed  map[string]uint64 `json:"failed"`
	Invalid map[string]uint64 `json:"invalid"`

	Latest       *Sample  `json:"latest,omitempty"` // of the finest range; nil in the first seconds
	History      []Sample `json:"history"`          // of the request's range, after its since
	HistoryKept  int      `json:"history_kept"`
	HistoryEvery float64  `json:"history_every_seconds"` // how far the samples of this range are apart

	MayPublish bool `json:"may_publish"` // whoever asked may use /publish

	Demo string `json:"demo,omitempty"` // the WebSocket's URL, where the page may try it
}

// OverviewResume is there where clients can resume.
type OverviewResume struct {
	Window  float64 `json:"window_seconds"` // how far back a client can resume now
	Wanted  float64 `json:"wanted_seconds"` // how far it should
	Bytes   int     `json:"bytes"`          // that what can be replayed takes
	Room    int     `json:"room"`           // that it may take
	Resumed uint64  `json:"resumed"`        // clients that came back and got what they missed
	Gaps    uint64  `json:"gaps"`           // that came back and were told of a gap instead
}

func resumeOf(stats *Stats) *OverviewResume {
	if stats.ResumeWindowWanted == 0 {
		return nil
	}
	resumed := stats.Resumes["resumed"]
	return &OverviewResume{
		Window: stats.ResumeWindow.Seconds(), Wanted: stats.ResumeWindowWanted.Seconds(),
		Bytes: stats.ResumeBytes, Room: stats.ResumeRoom,
		Resumed: resumed, Gaps: sum(stats.Resumes) - resumed,
	}
}

// OverviewCounters rise; those who ask turn them into rates.
type OverviewCounters struct {
	Received   uint64 `json:"received"`
	Sent       uint64 `json:"sent"`
	Failed     uint64 `json:"failed"`
	Gaps       uint64 `json:"gaps"` // times at which notifications may have been missed
	Reconnects uint64 `json:"redis_reconnects"`
}

// OverviewLoop is an event loop.
type OverviewLoop struct {
	Busy    float64 `json:"busy_seconds"` // not asleep, since the start
	Mailbox int     `json:"mailbox"`      // notifications that wait for it
}

func loopsOf(stats *Stats) []OverviewLoop {
	loops := make([]OverviewLoop, len(stats.LoopBusy))
	for i := range loops {
		loops[i].Busy = stats.LoopBusy[i].Seconds()
		if i < len(stats.MailboxItems) {
			loops[i].Mailbox = stats.MailboxItems[i]
		}
	}
	return loops
}

func (s *Server) serveOverview(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	since, err := strconv.ParseInt(query.Get("since"), 10, 64)
	if err != nil && query.Has("since") {
		writeError(w, http.StatusBadRequest, "since is a time in Unix seconds")
		return
	}
	ofRange := 0
	if name := query.Get("range"); name != "" {
		ofRange = slices.IndexFunc(historyRanges[:], func(r historyRange) bool { return r.name == name })
	}
	if ofRange < 0 {
		writeError(w, http.StatusBadRequest, "range is hour, day or week")
		return
	}
	o := s.overview(time.Now())
	o.History, o.HistoryKept, o.HistoryEvery = s.history.after(ofRange, since), historyKept, historyRanges[ofRange].every.Seconds()
	o.Latest = s.history.latest()
	o.MayPublish = s.publish != nil && (*s.token.Load() != "" || s.mayTry(r))
	writeJSON(w, http.StatusOK, marshal(o))
}

// overview is all but what depends on the request.
func (s *Server) overview(now time.Time) Overview {
	snapshot, health := s.gatherer.current(), s.health(now)
	stats := &snapshot.stats
	host, _ := os.Hostname() // without a name the page shows none
	resident := 0
	if stat, err := s.machine.process.stat(); err == nil {
		resident = stat.resident
	}
	o := Overview{
		// Of the numbers, so that a rate between two answers is right.
		At: snapshot.at.UnixMilli(), Started: s.cfg.Started.UnixMilli(), Host: host, Version: s.cfg.Version, Uptime: health.UptimeSeconds,
		Status: health.Status, Redis: health.Redis, TokenKeys: health.TokenKeys,
		Connections: stats.Connections, Users: stats.Users, Waiting: stats.DeliveriesWaiting, Stalled: stats.Stalled,
		Memory: resident, MemoryEach: s.machine.each(resident, stats.Sockets),
		Counters: OverviewCounters{
			Received: stats.NotificationsReceived, Sent: stats.DeliveriesSent, Failed: sum(stats.DeliveriesFailed),
			Gaps: stats.RedisGaps, Reconnects: stats.RedisReconnects,
		},
		Loops: loopsOf(stats), FeedBusy: stats.FeedBusy.Seconds(),
		Limits:  []Limit{},
		Resume:  resumeOf(stats),
		Refused: stats.ConnectionsRefused, Closed: stats.ConnectionsClosed,
		Failed: stats.DeliveriesFailed, Invalid: stats.NotificationsInvalid,
	}
	if demo := s.demo.Load(); demo != nil {
		o.Demo = demo.Socket
	}
	if s.cfg.Limits != nil {
		o.Limits = s.cfg.Limits(*stats)
	}
	o.Limits = append(o.Limits, s.machine.limits(stats.Sockets)...)
	return o
}
