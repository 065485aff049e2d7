package wsguard_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsguard/wsguard"
)

// However questions, warnings, new tokens, revocations and ends meet, no
// connection is asked about twice at once, none is left, and each ends once.
// (R26, R60)
func TestVigilStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const conns = 60
		registry, closes := new(wsguard.Registry), make(chan string, 2*conns)
		observer := wsguard.NewObserver("test", nil, wsguard.Hooks{
			ConnClosed: func(_ context.Context, e wsguard.CloseEvent) { closes <- reasonOf(e.Refusal) }})
		var busy [conns]atomic.Int32
		answer := func(ctx context.Context, p wsguard.Principal) error {
			if busy[int(p.IssuedAt.Unix())].Add(1) > 1 {
				t.Error("it is asked while it is being asked")
			}
			defer busy[int(p.IssuedAt.Unix())].Add(-1)
			switch rand.N(200) {
			case 0:
				return errors.New("no")
			case 1:
				<-ctx.Done()
			case 2:
				pass(time.Second)
			default:
				pass(rand.N(3 * time.Millisecond))
			}
			return nil
		}
		// A token is the number of a connection, and how long it lasts.
		verifier := verifierFunc(func(token string) (wsguard.Principal, error) {
			d, err := time.ParseDuration(token[2:])
			n := int64(token[0]-'0')*10 + int64(token[1]-'0')
			return wsguard.Principal{Issuer: issuer, Subject: token[:2], IssuedAt: time.Unix(n, 0), Expires: time.Now().Add(d)}, err
		})
		m := newMemoryServer(t, wsguard.Chain(wsguard.Observe(observer),
			wsguard.Authenticate(verifier, wsguard.FromAuthorization()), registry.Track(),
			wsguard.Revalidate(10*time.Millisecond, answer),
			wsguard.WarnExpiry(20*time.Millisecond, func(context.Context, *wsguard.Conn) { pass(rand.N(2 * time.Millisecond)) }),
		)(reauthenticating["Handler"]))
		for i := range conns {
			name := string([]byte{'0' + byte(i/10), '0' + byte(i%10)})
			c := m.raw("Authorization: Bearer " + name + "1s")
			go c.discard()
			go func() {
				for range 200 {
					if _, err := c.Write(textFrame(name + (10*time.Millisecond + rand.N(time.Second)).String())); err != nil {
						return
					}
					pass(rand.N(4 * time.Millisecond))
				}
				if i%2 == 0 {
					_ = c.Close()
				} else if _, err := registry.Revoke(wsguard.Revocation{Issuer: issuer, Subject: name}); err != nil {
					t.Error(err)
				}
			}()
		}
		pass(time.Hour)
		if n := observer.Stats().Connections; n != 0 || len(closes) != conns || len(registry.Connections(wsguard.AllConns())) > 0 {
			t.Errorf("%d connections are left, %d of %d have ended", n, len(closes), conns)
		}
		reasons := map[string]int{}
		for len(closes) > 0 {
			reasons[<-closes]++
		}
		t.Log(reasons)
	})
}
