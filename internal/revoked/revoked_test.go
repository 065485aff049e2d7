package revoked

import (
	"testing"
	"time"
)

func TestCovers(t *testing.T) {
	var l List[string]
	now := time.Now()
	l.Add("alice", now, now.Add(time.Hour), now)
	l.Add("alice", now.Add(-time.Minute), now.Add(time.Minute), now) // takes nothing back
	for _, row := range []struct {
		name   string
		key    string
		issued time.Time
		at     time.Time
		want   bool
	}{
		{"issued before", "alice", now.Add(-time.Second), now, true},
		{"issued at an unknown time", "alice", time.Time{}, now, true},
		{"issued then", "alice", now, now, false},
		{"issued after", "alice", now.Add(time.Second), now, false},
		{"somebody else", "bob", now.Add(-time.Second), now, false},
		{"nobody", "", time.Time{}, now, false},
		{"lapsed", "alice", now.Add(-time.Second), now.Add(time.Hour), false},
	} {
		if got := l.Covers(row.key, row.issued, row.at); got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
}

// A flood of revocations takes no more memory, and lets none of them be forgotten.
func TestFlood(t *testing.T) {
	var l List[int]
	now := time.Now()
	const n = 3 * capacity
	for k := range n {
		l.Add(k, now, now.Add(time.Hour), now)
	}
	if len(l.keys) != capacity || len(l.shared) != shared {
		t.Errorf("%d keys and %d shared entries", len(l.keys), len(l.shared))
	}
	for k := range n {
		if !l.Covers(k, now.Add(-1), now) {
			t.Fatalf("the revocation of %d is forgotten", k)
		}
		if l.Covers(k, now, now) {
			t.Fatalf("a fresh token of %d is refused", k)
		}
	}
	later := now.Add(2 * time.Hour)
	l.Add(n, later, later.Add(time.Hour), later)
	if len(l.keys) != 1 {
		t.Errorf("%d keys are left when all but one have lapsed", len(l.keys))
	}
}

// A flood of revocations for ever refuses nobody for ever: tokens of others are
// good again once they are issued anew, and few of the old ones are refused.
func TestFloodForEver(t *testing.T) {
	var l List[int]
	now := time.Now()
	until, ever := now.Add(time.Hour), now.AddDate(1000, 0, 0)
	const flood = 1<<16 + 1<<12
	for k := range flood {
		l.Add(k, ever, until, now)
	}
	for k := range flood {
		if !l.Covers(k, now, now) {
			t.Fatalf("revocation %d is forgotten", k)
		}
	}
	old := 0
	for k := range 10_000 {
		if l.Covers(-1-k, now.Add(-time.Minute), now) {
			old++
		}
		if l.Covers(-1-k, now.Add(2*time.Minute), now.Add(2*time.Minute)) {
			t.Fatal("a fresh token of somebody else is refused")
		}
	}
	if old > 500 { // 156 are to be expected
		t.Errorf("%d of 10,000 tokens of others are refused", old)
	}
}
