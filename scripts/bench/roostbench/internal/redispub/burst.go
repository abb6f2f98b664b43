package redispub

// burstPiece is about how many bytes of a burst go to Redis in one piece.
const burstPiece = 256 << 10

// Burst publishes n notifications with pad bytes of content for one user, as fast as Redis takes them, and returns when
// it has answered all.
func (p *Publisher) Burst(user, n, pad int) error {
	usual := p.cfg.Pad
	p.cfg.Pad = pad
	defer func() { p.cfg.Pad = usual }()
	for range n {
		p.append(user)
		if p.pending() < burstPiece {
			continue
		}
		if err := p.flush(); err != nil {
			return err
		}
	}
	if err := p.flush(); err != nil {
		return err
	}
	return p.awaitAnswers()
}

// pending is how many bytes wait to be sent.
func (p *Publisher) pending() int {
	n := 0
	for i := range p.out {
		n += len(p.out[i].commands)
	}
	return n
}
