package wsguardtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var limitVectors = []Vector{
	limitRow("slot-race", "R47", 367, "Many connections of one user are opened at once.", func(a *try) outcome {
		return a.race(a.p.Claims.ConnsPerUser, func(int) []string { return nil })
	}),
	limitRow("forged-addresses", "R52", 348, "Many connections are opened, each with the forged address of another client.", func(a *try) outcome {
		return a.race(a.p.Claims.ConnsPerUser, func(i int) []string {
			ip := fmt.Sprintf("192.0.2.%d", i+1)
			return []string{"X-Forwarded-For: " + ip, "X-Real-Ip: " + ip, "Forwarded: for=" + ip, "True-Client-Ip: " + ip}
		})
	}),
	limitRow("slot-leak", "R60", 772, "Connections are opened and reset, over and over, and then a good one comes.", slotLeak),
	limitRow("refused-slot-leak", "R60", 772, "Handshakes are refused or broken, over and over, and then a good one comes.", refusedSlotLeak),
	{Name: "limits/handshake-flood", Requirements: []string{"R47"}, CWE: 770, last: true,
		What: "Handshakes come faster than the endpoint claims to take them.", run: handshakeFlood},
	limitRow("message-flood", "R46", 770, "Valid messages come faster than the endpoint claims to take them.", messageFlood),
	{Name: "limits/message-too-big", Requirements: []string{"R41"}, CWE: 770,
		What: "A message is longer than the endpoint claims to take.", run: func(a *try) outcome {
			return a.big(func(m string) []byte { return frame(fin|opText, m) })
		}},
	{Name: "limits/fragments-too-big", Requirements: []string{"R42"}, CWE: 770,
		What: "Each fragment is short enough, and the message is not.", run: func(a *try) outcome {
			return a.big(func(m string) []byte {
				return join(frame(opText, m[:len(m)/2]), frame(fin|opMore, m[len(m)/2:]))
			})
		}},
}

func limitRow(name, requirement string, cwe int, what string, run func(*try) outcome) Vector {
	return Vector{Name: "limits/" + name, Requirements: []string{requirement}, CWE: cwe, What: what, run: run, alone: true}
}

func (a *try) race(most int, lines func(int) []string) outcome {
	if most <= 0 || most > 200 {
		return unjudged("the profile claims no ConnsPerUser from 1 to 200")
	}
	// Earlier attacks' connections are given a moment to be forgotten.
	if first, why := a.connect(); why != nil {
		return *why
	} else {
		_ = first.conn.Close()
	}
	a.pause(100 * time.Millisecond)
	var mu sync.Mutex
	var in []*peer
	refused := 0
	var wg sync.WaitGroup
	for i := range most + 10 {
		wg.Go(func() {
			token, err := a.token()
			if err != nil {
				return
			}
			r := a.good(token)
			r.lines = append(r.lines, lines(i)...)
			p, err := a.knock(r)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
			case p.resp.StatusCode == http.StatusSwitchingProtocols:
				in = append(in, p.listen())
			default:
				refused++
			}
		})
	}
	wg.Wait()
	open := 0
	for _, p := range in {
		if !p.gone() {
			open++
		}
	}
	switch {
	case open > most:
		return failed("%d connections were open at once, where %d are claimed", open, most)
	case len(in) == 0:
		return unjudged("no connection was accepted")
	case len(in) > most, len(in)+refused <= most:
		return unjudged("of %d at once %d were accepted, and %d refused in time: the server is too slow for it", most+10, len(in), refused)
	}
	return passed("%d were accepted, %d refused", len(in), refused)
}

func slotLeak(a *try) outcome {
	n := a.p.Claims.ConnsPerUser
	if n <= 0 || n > 200 {
		return unjudged("the profile claims no ConnsPerUser from 1 to 200")
	}
	for range n + 2 {
		p, why := a.connect()
		if why != nil {
			return why.asFailed("after connections that were reset")
		}
		_ = p.send(frame(fin|opText, "half a mess")[:6])
		reset(p.conn)
	}
	return a.stillServed()
}

func refusedSlotLeak(a *try) outcome {
	n := a.p.Claims.ConnsPerUser
	if n <= 0 || n > 200 {
		return unjudged("the profile claims no ConnsPerUser from 1 to 200")
	}
	token, err := a.token()
	if err != nil {
		return unjudged("%v", err)
	}
	for range n + 2 {
		_, _ = a.knock(a.good(token).set("Sec-WebSocket-Version", "8"))
	}
	return a.stillServed()
}

// stillServed judges an attack by whether the good client is served after it.
func (a *try) stillServed() outcome {
	if why := a.served(); why != nil {
		return why.asFailed("after it,")
	}
	return passed("a good client is served after it")
}

// asFailed says that it is the attack's doing that a good client is not served,
// if it may not be that of a slow machine.
func (o *outcome) asFailed(when string) outcome {
	if o.slow {
		return unjudged("%s %s in time", when, o.seen)
	}
	return failed("%s %s", when, o.seen)
}

func handshakeFlood(a *try) outcome {
	n := a.p.Claims.HandshakeBurst
	if n <= 0 || n > 500 {
		return unjudged("the profile claims no HandshakeBurst from 1 to 500")
	}
	// Four at a time, and no longer than it can be called a flood.
	var at atomic.Int64
	var mu sync.Mutex
	o := failed("%d handshakes were all looked at", 2*n+10)
	decide := func(how outcome) {
		mu.Lock()
		defer mu.Unlock()
		if o.verdict != Withstood {
			o = how
		}
		at.Store(int64(2*n + 10))
	}
	started := time.Now()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := at.Add(1); i <= int64(2*n+10); i = at.Add(1) {
				p, err := a.knock(a.good("garbage"))
				switch {
				case silent(err):
					decide(unjudged("there was no response in time"))
				case err != nil:
					decide(passed("no response to handshake %d", i))
				case busy(p.resp.StatusCode):
					decide(passed("handshake %d was refused with %d", i, p.resp.StatusCode))
				default:
					_ = p.conn.Close()
				}
			}
		})
	}
	wg.Wait()
	if took := time.Since(started); o.verdict == NotWithstood && took > longest/2 {
		return unjudged("%d handshakes took %v, which is no flood: claim a smaller HandshakeBurst", 2*n+10, took.Round(time.Second))
	}
	return o
}

func messageFlood(a *try) outcome {
	n := a.p.Claims.MessageBurst
	if n <= 0 || n > 2000 || a.p.Message == "" {
		return unjudged("the profile has no message, or claims no MessageBurst from 1 to 2000")
	}
	p, why := a.connect()
	if why != nil {
		return *why
	}
	unit := frame(fin|opText, a.p.Message)
	for range 2*n + 10 {
		if p.send(unit) != nil {
			break
		}
	}
	switch ended, why := a.happens(a.p.Patience/2, p.ended); {
	case why != nil:
		return *why
	case ended:
		return passed("%s", p.how())
	}
	accepted := 0
	for len(p.answers) > 0 {
		if a.p.accepts(<-p.answers) {
			accepted++
		}
	}
	if accepted > n+n/2 {
		return failed("at least %d of %d were answered as accepted, where %d are claimed", accepted, 2*n+10, n)
	}
	return passed("%d of %d were answered as accepted in %v", accepted, 2*n+10, a.p.Patience/2)
}

// big sends a message of a byte too many. It is the good one with spaces after
// it, which nothing but its length is against, if that is JSON.
func (a *try) big(frames func(message string) []byte) outcome {
	n := a.p.Claims.MessageBytes
	if n <= 0 || n > 64<<20 {
		return unjudged("the profile claims no MessageBytes up to 64 MiB")
	}
	p, why := a.connect()
	if why != nil {
		return *why
	}
	message := strings.Repeat("x", n+1)
	if m := a.p.Message; len(m) <= n && json.Valid([]byte(m)) {
		message = m + strings.Repeat(" ", n+1-len(m))
	}
	err := p.send(frames(message))
	o := a.over(p, a.p.Patience)
	if silent(err) && o.verdict == NotWithstood {
		return unjudged("the server did not take the message in time, nor did it end the connection")
	}
	return o
}
