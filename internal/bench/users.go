package main

import (
	"context"
	"fmt"
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
		for _, n := range []int{1, 100, 10_000} {
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

func perUser(n int) (ns float64, err error) {
	chain := fullChain(observer(), credulous{}, generous(chatSchema))
	frames := maskedFrames(text, chatMessage, 1)
	users := make([]*wsguard.Conn, n)
	for i := range users {
		if users[i], err = inMemory(chain, fmt.Sprintf("user-%d", i))(&stream{frames: frames}); err != nil {
			return 0, err
		}
		defer func() { _ = users[i].Close(1000, "") }()
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
