package redisfeed

import "time"

// arrived is called when a read has brought something.
func (f *Feed) arrived() {
	f.woke = time.Now()
	if f.cfg.Arrived != nil {
		f.cfg.Arrived()
	}
}

// flush is called when all of it is handed over.
func (f *Feed) flush() {
	f.sink.Flush()
	if !f.woke.IsZero() {
		f.monitor.busy.Add(int64(time.Since(f.woke)))
		f.woke = time.Time{}
	}
}
