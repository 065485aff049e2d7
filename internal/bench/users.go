package main

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/wsguard/wsguard"
)

// measureUsers has one message after the other come from another user, each of
// whom has a connection, and limits of their own.
func measureUsers(p *plan) []Row {
	const one = "1 user"
	f := newFigure("a chat message from one of so many users in turn, in memory", "ns of CPU a message", one)
	for round := range p.idleRounds {
		p.progress("round %d of %d: %s", round+1, p.idleRounds, f.name)
		for _, n := range []int{1, 100, p.users} {
			name := fmt.Sprintf("%d users", n)
			if n == 1 {
				name = one
			}
			ns, err := perUser(n)
			f.add(name, ns, err)
		}
	}
	return f.rows()
}

// credulous takes everybody for whom they say they are. No token is measured
// here.
type credulous struct{}

func (credulous) Verify(_ context.Context, name string) (wsguard.Principal, error) {
	return wsguard.Principal{Issuer: issuerName, Subject: name, Expires: time.Now().Add(time.Hour), IssuedAt: time.Now()}, nil
}

// A leaver is a stream that ends. One that always has more would be listened to
// for a while after Close, by 10,000 goroutines.
type leaver struct {
	stream
	gone atomic.Bool
}

func (l *leaver) Read(p []byte) (int, error) {
	if l.gone.Load() {
		return 0, io.EOF
	}
	return l.stream.Read(p)
}

func perUser(n int) (ns float64, err error) {
	chain := fullChain(observer(), credulous{}, generous(chatSchema))
	frames := maskedFrames(text, chatMessage, 1)
	users := make([]*wsguard.Conn, n)
	for i := range users {
		peer := &leaver{stream: stream{frames: frames}}
		if users[i], err = inMemory(chain, fmt.Sprintf("user-%d", i))(peer); err != nil {
			return 0, err
		}
		defer func() {
			peer.gone.Store(true)
			_ = users[i].Close(1000, "")
		}()
	}
	buf := make([]byte, 0, 2*len(chatMessage))
	next := 0
	ns, _, err = perCall(func() error {
		_, _, err := users[next].ReadInto(context.Background(), buf)
		next = (next + 1) % n
		return err
	})
	return ns, err
}
