package wsguardtest

import (
	"context"
	"net"
	"sync"
	"time"
)

var lifecycleVectors = []Vector{
	{Name: "lifecycle/close-handshake", Requirements: []string{"R45"}, CWE: 404,
		What: "The client closes with 1000, which the server has to answer, and then to close the socket.", run: func(a *try) outcome {
			p, why := a.connect()
			if why != nil {
				return *why
			}
			_ = p.send(closing(1000, ""))
			return a.socketGone(p)
		}},
	{Name: "lifecycle/half-closed", Requirements: []string{"R48"}, CWE: 404,
		What: "The client says that it sends nothing more, and does not close.", run: func(a *try) outcome {
			p, why := a.connect()
			if why != nil {
				return *why
			}
			half, ok := p.conn.(interface{ CloseWrite() error })
			if !ok {
				return unjudged("the socket cannot be closed in one direction")
			}
			_ = half.CloseWrite()
			return a.socketGone(p)
		}},
	{Name: "lifecycle/close-unanswered", Requirements: []string{"R48"}, CWE: 772, waits: true,
		What: "The server ends the connection for a broken frame, and the client neither answers nor closes.", run: func(a *try) outcome {
			p, why := a.connect()
			if why != nil {
				return *why
			}
			_ = p.send(frame(fin|0x3, "x"))
			if !p.ended(a.ctx, a.p.Patience) {
				return unjudged("the server does not end a connection for a broken frame: see wire/unknown-data")
			}
			wait, started := 10*time.Second, time.Now()
			switch over, why := a.happens(wait, p.waitOver); {
			case why != nil:
				return *why
			case over:
				return passed("the socket was closed after %v", time.Since(started).Round(100*time.Millisecond))
			}
			return failed("the socket is open %v after the close frame", wait)
		}},
	{Name: "lifecycle/message-after-close", Requirements: []string{"R44"}, CWE: 672,
		What: "A valid message comes after the client's close frame.", run: func(a *try) outcome {
			if a.p.Message == "" {
				return unjudged("the profile has no message")
			}
			p, why := a.connect()
			if why != nil {
				return *why
			}
			_ = p.send(join(closing(1000, ""), frame(fin|opText, a.p.Message)))
			for answer, ok := p.answer(a.ctx, a.p.Patience); ok; answer, ok = p.answer(a.ctx, a.p.Patience) {
				if a.p.accepts(answer) {
					return failed("it was answered")
				}
			}
			if !p.gone() {
				return unjudged("neither the close frame nor the message was answered: see lifecycle/close-handshake")
			}
			return passed("it was not answered")
		}},
	{Name: "lifecycle/reset-storm", Requirements: []string{"R61"}, CWE: 400,
		What: "Twenty connections are opened and reset at once.", alone: true, run: storm},
	{Name: "lifecycle/logout", Requirements: []string{"R28"}, CWE: 613,
		What: "The user logs out while the connection is open.", last: true, run: logout},
}

// socketGone judges a connection whose socket has to be closed.
func (a *try) socketGone(p *peer) outcome {
	switch over, why := a.happens(a.p.Patience, p.waitOver); {
	case why != nil:
		return *why
	case !over:
		return failed("the socket is open after %v", a.p.Patience)
	}
	return passed("%s", p.how())
}

func (p *peer) waitOver(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-p.over:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

func storm(a *try) outcome {
	var wg sync.WaitGroup
	token, err := a.token()
	if err != nil {
		return unjudged("%v", err)
	}
	for range 20 {
		wg.Go(func() {
			if p, err := a.knock(a.good(token)); err == nil {
				reset(p.conn)
			}
		})
	}
	wg.Wait()
	return a.stillServed()
}

func logout(a *try) outcome {
	if a.p.Logout == nil {
		return unjudged("the profile cannot log out")
	}
	p, why := a.connect()
	if why != nil {
		return *why
	}
	ctx, cancel := context.WithTimeout(a.ctx, a.p.Patience)
	defer cancel()
	if err := a.p.Logout(ctx); err != nil {
		return unjudged("the profile's Logout returned an error")
	}
	return a.over(p, a.p.Patience)
}

// reset closes a socket so that TCP tells the server of no end, but a reset.
func reset(nc net.Conn) {
	if over, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = over.NetConn()
	}
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = nc.Close()
}
