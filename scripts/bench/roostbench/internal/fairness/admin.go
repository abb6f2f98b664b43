package fairness

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// admin dials the admin port as client number n.
func (a *attack) admin(ctx context.Context, n int) (*net.TCPConn, error) {
	dialer := net.Dialer{Timeout: a.Target.Patience, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.from(n).Source, 0))}
	conn, err := dialer.DialContext(ctx, "tcp4", a.Admin)
	if err != nil {
		return nil, err
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	return conn.(*net.TCPConn), nil
}

func adminIdle(ctx context.Context, a *attack) {
	a.hold(ctx, manySockets, func(i int) (io.ReadCloser, error) {
		a.count("opened")
		return a.admin(ctx, i)
	})
}

// adminReaderCount is how many read the metrics without a pause, each on its connection.
const adminReaderCount = 40

func adminReaders(ctx context.Context, a *attack) {
	var all sync.WaitGroup
	for i := range adminReaderCount {
		all.Go(func() {
			client := &http.Client{Timeout: a.Target.Patience, Transport: &http.Transport{
				DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return a.admin(ctx, i) },
			}}
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				if err := get(ctx, client, "http://"+a.Admin+"/metrics?format=prometheus"); err != nil {
					a.count("not answered")
					sleep(ctx, pauseBetween)
					continue
				}
				a.count("answered")
			}
		})
	}
	all.Wait()
}
