package topology

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/internal/redisnet"
)

// ErrNoMaster is returned by Sentinels.Master, with what each of them answered.
var ErrNoMaster = errors.New("no sentinel says where the master is")

const (
	// AskLimit is how long sentinels have to say where the master is.
	AskLimit = 2 * time.Second
	// askMore is how long the others have once one has answered. It may be one that has not heard of a failover yet.
	askMore = 200 * time.Millisecond
)

// Master is what sentinels say of the master.
type Master struct {
	Addr  string // host:port
	Epoch int64  // number of the failover that made it the master; 0 without Sentinel
	Sure  bool   // most of the sentinels said so: another can't have been made the master before they were asked
}

// Sentinels know where the master is. Any goroutine may ask.
type Sentinels struct {
	name    string // of the master
	log     *slog.Logger
	clients []sentinel

	mu     sync.Mutex // guards closed, and that nobody asks from then on
	closed bool
	asking sync.WaitGroup // goroutines that wait for an answer
}

type sentinel struct {
	addr   string
	client *redis.SentinelClient
}

// NewSentinels does not connect yet; dials end with life. It is nil without Sentinel.
func NewSentinels(life context.Context, cfg redisnet.Config) *Sentinels {
	if len(cfg.Sentinels) == 0 {
		return nil
	}
	s := &Sentinels{name: cfg.MasterName, log: cfg.Logger}
	d := &redisnet.Dialer{TLS: cfg.TLS, Timeout: cfg.Timeout, Reserve: cfg.Reserve, Log: cfg.Logger}
	for _, addr := range cfg.Sentinels {
		cfg.Addr, cfg.Username, cfg.Password, cfg.DB = addr, cfg.SentinelUsername, cfg.SentinelPassword, 0
		o := cfg.Options()
		o.Dialer = d.Within(life)
		o.ContextTimeoutEnabled = true
		o.MaxRetries = redisnet.Retries(0) // the next question comes anyway
		o.PoolSize = 2                     // one more than the subscription takes
		s.clients = append(s.clients, sentinel{addr, redis.NewSentinelClient(o)})
	}
	return s
}

// Close ends what is asked, and waits for that. Further calls do nothing.
func (s *Sentinels) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for _, c := range s.clients {
		_ = c.client.Close()
	}
	s.asking.Wait()
}

// start asks all; each answer comes once.
func (s *Sentinels) start(ctx context.Context) (<-chan answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, redis.ErrClosed
	}
	answers := make(chan answer, len(s.clients))
	for _, c := range s.clients {
		s.asking.Go(func() {
			m, err := s.ask(ctx, c.client)
			answers <- answer{c.addr, m, err}
		})
	}
	return answers, nil
}

// answer is one sentinel's.
type answer struct {
	from   string
	master Master
	err    error
}

// Master asks all sentinels at once and believes the one that knows of the latest failover, not the one that is the
// fastest: one that was cut off from the others may still name the master that was replaced. If they disagree about
// the same failover, as when some say names and others addresses, current stays. The error says what each of them
// answered.
func (s *Sentinels) Master(ctx context.Context, current string) (Master, error) {
	ctx, cancel := context.WithTimeout(ctx, AskLimit)
	defer cancel()
	answers, err := s.start(ctx)
	if err != nil {
		return Master{}, err
	}
	var best Master
	votes := 0 // for best
	decided := func() (Master, error) {
		best.Sure = votes > len(s.clients)/2
		return best, nil
	}
	var enough <-chan time.Time // from the first answer on
	failed := ErrNoMaster
	for range s.clients {
		select {
		case a := <-answers:
			switch {
			case a.err != nil:
				failed = fmt.Errorf("%w; %s: %w", failed, a.from, a.err)
			case best.Addr == "":
				best, votes, enough = a.master, 1, time.After(askMore)
			case a.master == best:
				votes++
			case a.master.Epoch > best.Epoch, a.master.Epoch == best.Epoch && a.master.Addr == current:
				best, votes = a.master, 1
			}
		case <-enough:
			return decided()
		}
	}
	if best.Addr == "" {
		return Master{}, failed
	}
	return decided()
}

// ask asks one.
func (s *Sentinels) ask(ctx context.Context, c *redis.SentinelClient) (Master, error) {
	// The epoch comes first. When a failover happens in between, this is the new address with the old epoch, and the
	// next question puts it right; the other way round the old master would beat the new one.
	about, err := c.Master(ctx, s.name).Result()
	if err != nil {
		return Master{}, s.explain(err)
	}
	epoch, err := strconv.ParseInt(about["config-epoch"], 10, 64)
	if err != nil {
		return Master{}, fmt.Errorf("%w: config-epoch %q", redisnet.ErrBadReply, about["config-epoch"])
	}
	// Not the address that Master says: that is the old one until all replicas follow the new.
	where, err := c.GetMasterAddrByName(ctx, s.name).Result()
	if err != nil {
		return Master{}, s.explain(err)
	}
	if len(where) != 2 {
		return Master{}, fmt.Errorf("%w: an address of %d parts", redisnet.ErrBadReply, len(where))
	}
	return Master{Addr: net.JoinHostPort(where[0], where[1]), Epoch: epoch}, nil
}

// explain puts what an operator can do about it in front of a sentinel's own words.
func (s *Sentinels) explain(err error) error {
	switch text := err.Error(); {
	case errors.Is(err, redis.Nil), strings.Contains(text, "No such master"):
		return fmt.Errorf("it knows no master called %q (REDIS_MASTER_NAME): %w", s.name, err)
	case strings.Contains(text, "unknown command"):
		return fmt.Errorf("it is no sentinel (REDIS_ADDRS): %w", err)
	case redis.HasErrorPrefix(err, "NOAUTH"):
		return fmt.Errorf("%w: it wants a password and none is configured (REDIS_SENTINEL_PASSWORD): %w", redisnet.ErrAuth, err)
	case redis.IsAuthError(err):
		return fmt.Errorf("%w: wrong user name or password (REDIS_SENTINEL_USERNAME, REDIS_SENTINEL_PASSWORD): %w", redisnet.ErrAuth, err)
	case redis.IsPermissionError(err):
		return fmt.Errorf("%w: the sentinel's user lacks a permission, of +sentinel|master +sentinel|get-master-addr-by-name: %w",
			redisnet.ErrAuth, err)
	}
	return err
}
