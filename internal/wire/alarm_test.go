package wire

import (
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// sleeper writes down when it is woken, and does something then.
type sleeper struct {
	owner
	born  time.Time
	c     *Conn
	woken chan time.Duration
	then  func(*Conn)
}

func (s *sleeper) Alarm() {
	s.woken <- time.Since(s.born)
	if s.then != nil {
		s.then(s.c)
	}
}

// The alarm rings once for each time that it was set, at the time that was set
// last, and not in a connection that ends.
func TestAlarm(t *testing.T) {
	for _, tc := range []struct {
		name string
		set  func(*Conn)
		then func(*Conn)
		want []time.Duration
	}{
		{"never", func(*Conn) {}, nil, nil},
		{"once", func(c *Conn) { c.SetAlarm(10 * time.Second) }, nil, []time.Duration{10 * time.Second}},
		{"at once", func(c *Conn) { c.SetAlarm(1) }, nil, []time.Duration{1}},
		{"for 300 years", func(c *Conn) { c.SetAlarm(1<<63 - 1) }, nil, nil},
		{"earlier", func(c *Conn) { c.SetAlarm(10 * time.Second); c.SetAlarm(time.Second) }, nil, []time.Duration{time.Second}},
		{"later", func(c *Conn) { c.SetAlarm(time.Second); c.SetAlarm(10 * time.Second) }, nil, []time.Duration{10 * time.Second}},
		{"taken back", func(c *Conn) { c.SetAlarm(time.Second); c.SetAlarm(0) }, nil, nil},
		{"among others", func(c *Conn) { c.SetExpiry(time.Hour); c.SetAlarm(time.Minute) }, nil, []time.Duration{time.Minute}},
		{"again, as soon as it rings", func(c *Conn) { c.SetAlarm(20 * time.Minute) }, func(c *Conn) { c.SetAlarm(20 * time.Minute) },
			[]time.Duration{20 * time.Minute, 40 * time.Minute, time.Hour}},
		{"after the end has begun", func(c *Conn) { c.End(Cause{Code: 1000}); c.SetAlarm(time.Millisecond) }, nil, nil},
		{"after the end", func(c *Conn) { c.Kill(); c.SetAlarm(time.Second) }, nil, nil},
		{"when the end begins in between", func(c *Conn) {
			c.SetAlarm(10*time.Second + 1)
			c.SetExpiry(10 * time.Second) // lasts another second
		}, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				s := &sleeper{born: time.Now(), woken: make(chan time.Duration, 100), then: tc.then}
				s.c = newResponded(near, Config{Owner: s})
				tc.set(s.c)
				<-time.After(70 * time.Minute)
				s.c.Kill()
				_ = far.Close()
				var got []time.Duration
				for len(s.woken) > 0 {
					got = append(got, <-s.woken)
				}
				if !slices.Equal(got, tc.want) {
					t.Errorf("woken at %v, want %v", got, tc.want)
				}
			})
		})
	}
}
