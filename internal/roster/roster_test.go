package roster

import "testing"

// One user among 100,000 members is found by looking at that user's alone.
func TestFindIsNoWalk(t *testing.T) {
	var r Roster[int, int]
	for i := range 100_000 {
		r.Set(i, i/10, -i-1)
	}
	if n := len(r.Find(77)); n != 10 || r.examined != 10 {
		t.Errorf("found %d by looking at %d, want 10 and 10", n, r.examined)
	}
	if n := len(r.Find(1 << 30)); n != 0 || r.examined != 10 {
		t.Errorf("found %d under a key of nobody", n)
	}
}

// Nothing stays of members that have gone or changed their keys.
func TestNothingStays(t *testing.T) {
	var r Roster[string, int]
	r.Set(1, "a", "b")
	r.Set(1, "b", "c")
	if len(r.Find("a")) != 0 || len(r.Find("b")) != 1 || len(r.Find("c")) != 1 {
		t.Errorf("after a change: %v", r.members)
	}
	if left := r.Remove(1); left != 0 || len(r.members) != 0 || len(r.keys) != 0 {
		t.Errorf("%d left, %v, %v", left, r.members, r.keys)
	}
	if r.Remove(1) != 0 || r.Len() != 0 || len(r.All()) != 0 {
		t.Error("removing twice is something")
	}
}

// Members may share keys, in any number, and name one twice.
func TestShared(t *testing.T) {
	var r Roster[string, int]
	for m := 1; m <= 3; m++ {
		r.Set(m, "all", "all", string(rune('0'+m)))
	}
	for left := 3; left > 0; left-- {
		if n := len(r.Find("all")); n != left {
			t.Errorf("found %d of %d", n, left)
		}
		r.Remove(left)
		if len(r.Find(string(rune('0'+left)))) != 0 {
			t.Errorf("%d is still found", left)
		}
	}
	if len(r.members) != 0 {
		t.Errorf("%v stays", r.members)
	}
}
