package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"

	"github.com/wsguard/wsguard"
)

// measureGrowth is what a message costs as there is more of something: users
// with a connection each, types of messages, a larger schema; and what keys in a table of limits take.
func measureGrowth(p *plan) []Row {
	testing.Init()
	if err := flag.Set("test.benchtime", p.benchtime); err != nil {
		panic(err) // a plan that is wrong
	}
	return inPart("growth", measureMessage(p), measureUsers(p), measureTypes(p), measureProperties(p), measureKeys(p))
}

// measureMessage is what is allocated for a message that passes the full chain.
func measureMessage(p *plan) []Row {
	const read, into = "Read", "ReadInto"
	cost := newFigure("a chat message through the full chain, in memory", "ns of CPU a message")
	allocs := newFigure("a chat message through the full chain", "allocations a message")
	allocs.target[read], allocs.target[into] = &target{Limit: 1}, &target{Limit: 0}
	for round := range p.rounds {
		p.progress("round %d of %d: %s", round+1, p.rounds, cost.name)
		for name, f := range map[string]func(*wsguard.Conn, []byte) ([]byte, error){
			read: func(c *wsguard.Conn, _ []byte) ([]byte, error) {
				_, data, err := c.Read(context.Background())
				return data, err
			},
			into: func(c *wsguard.Conn, buf []byte) ([]byte, error) {
				_, data, err := c.ReadInto(context.Background(), buf)
				return data, err
			},
		} {
			ns, n, err := perMessage(samples[0], func(i *issuer) (func(http.Handler) http.Handler, error) {
				v, err := i.verifier()
				return fullChain(observer(), v, generous(samples[0].schema)), err
			}, f)
			cost.add(name, ns, err)
			allocs.add(name, n, err)
		}
	}
	return append(cost.rows(), allocs.rows()...)
}

// perMessage reads messages that are always there already.
func perMessage(s sample, chain func(*issuer) (func(http.Handler) http.Handler, error), read func(*wsguard.Conn, []byte) ([]byte, error)) (ns, allocs float64, err error) {
	i, err := newIssuer(jwa.ES256)
	if err != nil {
		return 0, 0, err
	}
	token, err := i.token()
	if err != nil {
		return 0, 0, err
	}
	guard, err := chain(i)
	if err != nil {
		return 0, 0, err
	}
	c, err := inMemory(guard, token)(&stream{frames: maskedFrames(text, s.message, 16)})
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = c.Close(1000, "") }()
	buf := make([]byte, 0, 2*len(s.message))
	return perCall(func() error {
		_, err := read(c, buf)
		return err
	})
}

// measureTypes has one type of message, or many with schemas of their own, of
// which the same one comes.
func measureTypes(p *plan) []Row {
	f := newFigure("a chat message among types of messages", "ns of CPU a message")
	const one, most = "1 type", "500 types"
	f.beside(most, one, 1.1)
	for round := range p.rounds {
		p.progress("round %d of %d: %s", round+1, p.rounds, f.name)
		for _, n := range []int{1, 10, 500} {
			name := fmt.Sprintf("%d types", n)
			if n == 1 {
				name = one
			}
			ns, _, err := perMessage(samples[0], func(*issuer) (func(http.Handler) http.Handler, error) {
				return wsguard.Chain(wsguard.AllowOrigins(origin), wsguard.ValidateMessages(manyTypes(n))), nil
			}, func(c *wsguard.Conn, buf []byte) ([]byte, error) {
				_, data, err := c.ReadInto(context.Background(), buf)
				return data, err
			})
			f.add(name, ns, err)
		}
	}
	return f.rows()
}

func manyTypes(n int) wsguard.Messages {
	m := wsguard.Messages{Types: map[string]wsguard.MessageType{"say": {Schema: wsguard.MustCompileSchema(chatSchema)}}}
	for i := 1; i < n; i++ {
		name := fmt.Sprintf("type-%d", i)
		m.Types[name] = wsguard.MessageType{Schema: wsguard.MustCompileSchema(strings.Replace(chatSchema, `["join","say","leave"]`, `["`+name+`"]`, 1))}
	}
	return m
}

// measureProperties has a schema that declares ever more than the message has.
func measureProperties(p *plan) []Row {
	f := newFigure("a chat message under a schema of more properties", "ns of CPU a check", "5 properties")
	for round := range p.rounds {
		p.progress("round %d of %d: %s", round+1, p.rounds, f.name)
		for _, n := range []int{5, 50, 500} {
			var more strings.Builder
			for i := 5; i < n; i++ {
				fmt.Fprintf(&more, `"property-%d":{"type":"string","maxLength":100},`, i)
			}
			check := wsguard.MustCompileSchema(strings.Replace(chatSchema, `"properties":{`, `"properties":{`+more.String(), 1)).Check
			message := []byte(chatMessage)
			ns, _, err := perCall(func() error { return check(message) })
			f.add(fmt.Sprintf("%d properties", n), ns, err)
		}
	}
	return f.rows()
}

// measureKeys has so many keys take a handshake each from LimitHandshakes, and
// then one of them more. A table has at most 131,072 keys: memory ends there.
func measureKeys(p *plan) []Row {
	cost := newFigure("a handshake from one of so many keys", "ns of CPU a handshake", "1 key")
	memory := newFigure("a table of limits, after so many keys", "MiB of heap")
	for round := range p.idleRounds {
		p.progress("round %d of %d: %s", round+1, p.idleRounds, cost.name)
		for _, n := range []int{1, 1_000, 100_000, 1_000_000} {
			name := fmt.Sprintf("%d keys", n)
			if n == 1 {
				name = "1 key"
			}
			ns, mib, err := perKey(n)
			cost.add(name, ns, err)
			memory.add(name, mib, err)
		}
	}
	return append(cost.rows(), memory.rows()...)
}

func perKey(n int) (ns, mib float64, err error) {
	key := ""
	// A key that is full again makes room for others: at this rate none is.
	h := wsguard.LimitHandshakes(1e-6, 1<<30, wsguard.PerKey("key", func(*http.Request) (string, error) { return key, nil }))(
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest(http.MethodGet, "/ws", nil)
	before := heap()
	for i := range n {
		key = fmt.Sprintf("key-%d", i)
		h.ServeHTTP(nothing{}, r)
	}
	mib = (heap() - before) / (1 << 20)
	ns, _, err = perCall(func() error {
		h.ServeHTTP(nothing{}, r)
		return nil
	})
	runtime.KeepAlive(h)
	return ns, max(mib, 0), err
}

// heap is what is in use, once what is not is gone.
func heap() float64 {
	var m runtime.MemStats
	for range 2 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// nothing is a response that nobody reads.
type nothing struct{}

func (nothing) Header() http.Header         { return http.Header{} }
func (nothing) Write(p []byte) (int, error) { return len(p), nil }
func (nothing) WriteHeader(int)             {}
