package main

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// maxRooms is how many rooms a connection may be in. Together with the limits
// on connections it bounds the hub's memory.
const maxRooms = 50

// A serverMessage is what the chat sends.
type serverMessage struct {
	Type string `json:"type"` // joined, left, said, error, expiring or reauthenticated
	Room string `json:"room,omitempty"`
	From string `json:"from,omitempty"`
	Text string `json:"text,omitempty"` // HTML-escaped
	At   string `json:"at,omitempty"`

	// Connections says in joined and left with how many connections the user
	// is now in the room.
	Connections *int `json:"connections,omitempty"`
	// Members are the users in the room, for the one who has joined.
	Members []string `json:"members,omitempty"`

	Reason string `json:"reason,omitempty"`
}

// A peer is the part of *wsguard.Conn that the hub needs.
type peer interface {
	TrySend(websocket.MessageType, []byte) bool
	Close(websocket.StatusCode, string) error
}

// A member is one connection of a user. The hub's lock guards it.
type member struct {
	peer
	user  string
	rooms map[string]*room
	lost  bool // it is being closed, and gets nothing more
}

// A room holds its members, and counts them by user.
type room struct {
	name    string
	members map[*member]struct{}
	users   map[string]int
}

// hub knows who is in which room. A message goes to all members of a room
// under one lock, so that all see the same order; none of them is waited for.
type hub struct {
	mu      sync.Mutex
	members map[*member]struct{}
	rooms   map[string]*room
	over    bool // everybody is being sent away
}

func newHub() *hub {
	return &hub{members: make(map[*member]struct{}), rooms: make(map[string]*room)}
}

// enter admits a connection, unless the hub is over.
func (h *hub) enter(p peer, user string) *member {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return nil
	}
	m := &member{peer: p, user: user, rooms: make(map[string]*room)}
	h.members[m] = struct{}{}
	return m
}

// exit takes a connection out of all its rooms.
func (h *hub) exit(m *member) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.members, m)
	m.lost = true
	for _, r := range m.rooms {
		h.remove(m, r)
	}
}

// join puts a connection into a room. Who is there already is told again who
// else is.
func (h *hub) join(m *member, name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, there := m.rooms[name]
	if !there {
		if len(m.rooms) >= maxRooms {
			h.send(serverMessage{Type: "error", Reason: "too_many_rooms", Room: name}, m)
			return
		}
		if r = h.rooms[name]; r == nil {
			r = &room{name: name, members: make(map[*member]struct{}), users: make(map[string]int)}
			h.rooms[name] = r
		}
		r.users[m.user]++
	}
	joined := serverMessage{Type: "joined", Room: name, From: m.user, At: now(), Connections: r.count(m.user)}
	if !there {
		h.sendAll(joined, r)
		r.members[m], m.rooms[name] = struct{}{}, r
	}
	joined.Members = slices.Sorted(maps.Keys(r.users))
	h.send(joined, m)
}

// say passes text on to everybody in the room, the one who says it included.
func (h *hub) say(m *member, name, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.room(m, name); r != nil {
		h.sendAll(serverMessage{Type: "said", Room: name, From: m.user, Text: text, At: now()}, r)
	}
}

// leave takes a connection out of a room.
func (h *hub) leave(m *member, name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.room(m, name); r != nil {
		h.send(h.remove(m, r), m)
	}
}

// room returns a room that a connection is in, or tells it that it is not.
func (h *hub) room(m *member, name string) *room {
	r := m.rooms[name]
	if r == nil {
		h.send(serverMessage{Type: "error", Reason: "not_in_room", Room: name}, m)
	}
	return r
}

// remove tells those who stay, and returns what it told them.
func (h *hub) remove(m *member, r *room) serverMessage {
	delete(r.members, m)
	delete(m.rooms, r.name)
	if r.users[m.user]--; r.users[m.user] == 0 {
		delete(r.users, m.user)
	}
	if len(r.members) == 0 {
		delete(h.rooms, r.name)
	}
	left := serverMessage{Type: "left", Room: r.name, From: m.user, At: now(), Connections: r.count(m.user)}
	h.sendAll(left, r)
	return left
}

func (r *room) count(user string) *int {
	n := r.users[user]
	return &n
}

func now() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000Z") }

func (h *hub) sendAll(msg serverMessage, r *room) {
	data := marshal(msg)
	for m := range r.members {
		h.sendData(data, m)
	}
}

func (h *hub) send(msg serverMessage, to *member) { h.sendData(marshal(msg), to) }

// tell sends something to one connection alone.
func (h *hub) tell(m *member, msg serverMessage) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.send(msg, m)
}

// sendData closes a connection that reads so slowly that its queue is full:
// the alternatives are to make the others wait, or to hide from it what it has
// missed.
func (h *hub) sendData(data []byte, to *member) {
	if to.lost || to.TrySend(websocket.MessageText, data) {
		return
	}
	to.lost = true
	go to.Close(websocket.StatusPolicyViolation, "slow reader")
}

func marshal(msg serverMessage) []byte {
	data, err := json.Marshal(msg)
	if err != nil {
		panic(err) // strings, numbers and lists of strings cannot fail
	}
	return data
}

// end sends everybody away with 1001, after what they have been sent before.
// It returns when all are gone, which takes about two seconds at most.
func (h *hub) end() {
	h.mu.Lock()
	h.over = true
	members := slices.Collect(maps.Keys(h.members))
	for _, m := range members {
		m.lost = true // what is said from now on goes to nobody, rather than to some
	}
	h.mu.Unlock()
	var gone sync.WaitGroup
	for _, m := range members {
		gone.Go(func() { _ = m.Close(websocket.StatusGoingAway, "server shutting down") })
	}
	gone.Wait()
}
