package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
)

// A fakePeer takes as many messages as it has room for.
type fakePeer struct {
	room   int
	got    []serverMessage
	closed []websocket.StatusCode
}

func (p *fakePeer) TrySend(_ websocket.MessageType, data []byte) bool {
	if len(p.got) == p.room {
		return false
	}
	var m serverMessage
	if err := json.Unmarshal(data, &m); err != nil {
		panic(err)
	}
	p.got = append(p.got, m)
	return true
}

func (p *fakePeer) Close(code websocket.StatusCode, _ string) error {
	p.closed = append(p.closed, code)
	return nil
}

// last returns the kind of a peer's messages, the last n.
func (p *fakePeer) last(n int) (kinds []string) {
	for _, m := range p.got[max(0, len(p.got)-n):] {
		kind := m.Type + " " + m.From
		if m.Connections != nil {
			kind += fmt.Sprint(" ", *m.Connections)
		}
		kinds = append(kinds, kind)
	}
	return kinds
}

func enter(h *hub, user string, room int) (*member, *fakePeer) {
	p := &fakePeer{room: room}
	return h.enter(p, user), p
}

func want(t *testing.T, p *fakePeer, kinds ...string) {
	t.Helper()
	if got := p.last(len(kinds)); !slices.Equal(got, kinds) {
		t.Errorf("got %q, want %q", got, kinds)
	}
}

// A user may be in a room with several connections, and is there until the last
// of them has left.
func TestPresence(t *testing.T) {
	h := newHub()
	alice, a := enter(h, "alice", 100)
	first, b1 := enter(h, "bob", 100)
	second, b2 := enter(h, "bob", 100)
	h.join(alice, "blue")
	h.join(first, "blue")
	h.join(second, "blue")
	want(t, a, "joined alice 1", "joined bob 1", "joined bob 2")
	if m := b2.got[0].Members; !slices.Equal(m, []string{"alice", "bob"}) {
		t.Errorf("members %q", m)
	}
	h.join(first, "blue") // again: the others are not told
	want(t, b1, "joined bob 2", "joined bob 2")
	want(t, a, "joined alice 1", "joined bob 1", "joined bob 2")
	h.leave(first, "blue")
	want(t, a, "joined bob 2", "left bob 1")
	want(t, b1, "left bob 1")
	h.say(first, "blue", "hello")
	want(t, b1, "error ")
	h.exit(second)
	want(t, a, "left bob 0")
	h.exit(alice)
	h.exit(first)
	if len(h.rooms) != 0 || len(h.members) != 0 {
		t.Errorf("left over: %v, %v", h.rooms, h.members)
	}
}

func TestTooManyRooms(t *testing.T) {
	h := newHub()
	alice, a := enter(h, "alice", 100)
	for i := range maxRooms + 1 {
		h.join(alice, fmt.Sprint("room-", i))
	}
	if m := a.got[maxRooms]; m.Reason != "too_many_rooms" || len(h.rooms) != maxRooms {
		t.Errorf("got %+v in %d rooms", m, len(h.rooms))
	}
	h.exit(alice)
	if len(h.rooms) != 0 {
		t.Errorf("%d rooms are left over", len(h.rooms))
	}
}

// Whose queue is full is closed once, and the others get everything. R49
func TestFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		alice, a := enter(h, "alice", 100)
		bob, b := enter(h, "bob", 2)
		h.join(alice, "blue")
		h.join(bob, "blue")
		for i := range 5 {
			h.say(alice, "blue", fmt.Sprint(i))
		}
		synctest.Wait()
		if len(a.got) != 7 || len(b.got) != 2 || !slices.Equal(b.closed, []websocket.StatusCode{1008}) {
			t.Errorf("alice got %d, bob %d and was closed with %d", len(a.got), len(b.got), b.closed)
		}
		h.end()
		if !slices.Equal(a.closed, []websocket.StatusCode{1001}) || h.enter(a, "alice") != nil {
			t.Errorf("at the end alice was closed with %d, or let in again", a.closed)
		}
	})
}
