package netpoll

// startLoops starts the loops, or none.
func (s *Server) startLoops() error {
	for i := range s.cfg.Loops {
		l, err := newLoop(s, i)
		if err != nil {
			s.closePollers()
			return err
		}
		s.loops = append(s.loops, l)
	}
	s.port.loops, s.port.failed = s.loops, s.acceptPauses
	for _, l := range s.loops {
		s.looping.Go(func() {
			if err := l.run(); err != nil {
				s.fail(err)
			}
		})
	}
	return nil
}

// stopLoops ends everything that New started. Sockets that are left are cut.
func (s *Server) stopLoops() {
	s.probing.Wait()
	for _, l := range s.loops {
		l.do(l.cutAll)
	}
	s.looping.Wait()
	s.stopCheckers()
	for _, l := range s.loops {
		l.mail.close()
		l.abandonMail()
	}
	s.closePollers()
}

// cutAll closes what is left and ends the loop.
func (l *loop) cutAll() {
	l.wheel.Each(func(c *conn) { l.drop(c, ReasonShutdown) })
	l.ended = true
}

func (s *Server) closePollers() {
	for _, l := range s.loops {
		l.poll.close()
	}
	s.reserve.lend()
}
