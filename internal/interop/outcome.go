package interop

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// An outcome is what was measured of one attack on one library.
type outcome struct {
	*attack
	status  int           // of the response to the handshake; 0 is none
	ended   bool          // the server closed the socket
	lasted  time.Duration // until then, or until the attacker gave up
	code    int           // of the close frame that the client saw; 0 is none
	told    time.Duration // until then
	how     string        // the stream ended
	garbled error         // the server's frames are broken
	reason  string        // why, as observers were told
	read    int64         // bytes of frames that the server took
	answers int64         // frames that it sent
	seen    int64         // messages that the application saw
	closed  bool          // the library's Close returned
	left    bool          // the handler ended
}

// perform runs one attack against one library, inside a chain or bare.
func (at *attack) perform(t *testing.T, s stack, inside bool, window time.Duration) (outcome, *server) {
	stop := make(chan struct{})
	w, m := newWitness(), newMeter()
	h := s.library.handler(t, app{stop: stop, seen: w})
	srv := &server{t: t, meter: m}
	if inside {
		srv = serve(t, s, at.limits(), h, m.hooks())
	} else {
		srv.listen(s.tls, h)
	}
	srv.stop = sync.OnceFunc(func() { close(stop) })
	t.Cleanup(srv.stop)

	a := srv.attack(at, m.closed, window)
	o := outcome{attack: at, status: a.status, lasted: time.Since(a.began), ended: m.isClosed(), closed: w.closed.Load()}
	if o.ended {
		o.lasted = m.at.Sub(a.began)
		// What is left for the client to read, and for the handler to do, takes
		// but a moment.
		if at.deaf {
			go a.watch()
		}
		<-a.read
		o.how, o.left, o.closed = a.how, w.gone(patience), w.closed.Load()
	}
	if !inside {
		o.read = m.bytes.Load() - int64(len(handshake{simple: true}.bytes(srv.addr)))
	}
	select {
	case <-a.told:
		o.told = a.toldAt.Sub(a.began)
	default:
	}
	o.code, o.answers, o.seen = int(a.code.Load()), a.answers.Load(), w.messages.Load()
	(&client{conn: a.conn}).vanish(true)
	if inside {
		<-m.closed
		o.lasted = m.at.Sub(a.began)
		o.read = m.bytes.Load()
		if r := m.event.Refusal; r != nil {
			o.reason = r.Reason
		}
	}
	if !at.deaf {
		<-a.read
	}
	o.garbled = a.garbled
	return o, srv
}

func (m *meter) isClosed() bool {
	select {
	case <-m.closed:
		return true
	default:
		return false
	}
}

// frames is how many times the server took the frame of a flood.
func (o outcome) frames() int64 {
	return max(0, o.read-int64(len(o.prefix))) / int64(len(o.frame))
}

// stopped reports whether the attack came to an end, with nothing of it
// delivered or taken for something else.
func (o outcome) stopped() bool {
	switch {
	case !o.ended:
		return false
	case o.closing:
		return o.closed && o.left
	case o.code == 1000: // the close frame that should have been refused was answered
		return false
	}
	return o.delivers || o.seen == 0
}

// slowed reports whether no more came in than the rate allows.
func (o outcome) slowed() bool {
	allowed := guardedBurst + guardedRate*o.lasted.Seconds()
	return o.slows && !o.ended && float64(o.read) <= allowed+float64(len(o.frame))
}

// verdict sums the outcome up.
func (o outcome) verdict() string {
	switch {
	case o.slowed():
		return "slowed"
	case o.stopped():
		return "stopped"
	}
	return "not stopped"
}

// String says what was measured.
func (o outcome) String() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch {
	case o.status == 0:
		add("no response to the handshake")
	case o.status != http.StatusSwitchingProtocols:
		add("handshake answered with %d", o.status)
	case !o.ended:
		add("open after %s", inWords(o.lasted))
	case o.code != 0:
		add("close frame %d after %s, over after %s", o.code, inWords(o.told), inWords(o.lasted))
	default:
		add("no close frame, %s after %s", o.how, inWords(o.lasted))
	}
	if o.reason != "" {
		add("`%s`", o.reason)
	}
	if len(o.frame) > 0 {
		if o.most == 0 {
			add("%s read", count(o.frames(), "frame"))
		} else {
			add("%s read", count(o.read>>10, "KiB"))
		}
	}
	if o.answers > 0 && !o.deaf && len(o.frame) > 0 {
		add("%s sent back", count(o.answers, "frame"))
	}
	if o.seen > 0 && !o.closing && !o.deaf {
		add("%s delivered", count(o.seen, "message"))
	}
	if o.closing && o.seen > 0 && !o.closed {
		add("Close has not returned")
	}
	if o.ended && !o.left {
		add("the handler still runs")
	}
	return strings.Join(parts, ", ")
}

func inWords(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "under 1 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// count writes a number in groups of three digits, with what is counted.
func count(n int64, noun string) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if n != 1 && noun != "KiB" {
		noun += "s"
	}
	return digits + " " + noun
}
