package main

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// maxSessions bounds the memory that logging in can take.
const maxSessions = 10_000

// sessions knows who is logged in, and since a session that is ended must not
// come back, that of each cookie and token the id is looked up here.
type sessions struct {
	mu    sync.Mutex
	users map[string]map[string]time.Time // by user and id: when it ends
	count int
}

func newSessions() *sessions { return &sessions{users: make(map[string]map[string]time.Time)} }

// begin notes a session, unless there are too many.
func (s *sessions) begin(user, id string, until time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count >= maxSessions {
		now := time.Now()
		for user := range s.users {
			s.remove(user, func(_ string, until time.Time) bool { return !until.After(now) })
		}
	}
	if s.count >= maxSessions {
		return false
	}
	if s.users[user] == nil {
		s.users[user] = make(map[string]time.Time)
	}
	s.users[user][id] = until
	s.count++
	return true
}

// until returns when a session ends. It is in the past for one that has ended.
func (s *sessions) until(user, id string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.users[user][id]
}

// end ends a user's sessions that are meant, and returns their ids.
func (s *sessions) end(user string, meant func(id string) bool) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remove(user, func(id string, _ time.Time) bool { return meant(id) })
}

func (s *sessions) remove(user string, meant func(id string, until time.Time) bool) (ended []string) {
	of := s.users[user]
	for _, id := range slices.Sorted(maps.Keys(of)) {
		if meant(id, of[id]) {
			delete(of, id)
			s.count--
			ended = append(ended, id)
		}
	}
	if len(of) == 0 {
		delete(s.users, user)
	}
	return ended
}
