package onepass

// A span is a part of the message.
type span struct{ start, end int }

// A mark is a member name or an item that has come, as a hash.
type mark struct {
	hash uint64
	part span
}

// marks holds the marks of all arrays or objects that are open. The first few
// of each are in a list that grows and shrinks with the frames. Those of one
// that has more are in a table, in which a peer who does not know the seed
// cannot make them collide.
type marks struct {
	list  []mark
	keys  []uint64 // open addressing, at most half full; 0 is free
	parts []span
	slots []int32 // of keys that are taken
}

const (
	fewMarks   = 8       // of one array or object, in the list
	firstTable = 1 << 11 // slots, so that 1,024 marks take no memory anew
)

// add notes a mark of the array or object whose first one is at from in the
// list, and which id tells from others, unless it finds another with this hash
// that is the same.
func (s *marks) add(from int, id uint64, n mark, same func(span) bool) bool {
	known := s.list[from:]
	if len(known) <= fewMarks {
		for i := range known {
			if known[i].hash == n.hash && (same == nil || same(known[i].part)) {
				return false
			}
		}
		s.list = append(s.list, n)
		if len(known) < fewMarks {
			return true
		}
		for _, n := range s.list[from : from+fewMarks] {
			s.insert(mix(n.hash, id)|1, n.part, differ)
		}
	}
	return s.insert(mix(n.hash, id)|1, n.part, same)
}

func differ(span) bool { return false }

func (s *marks) insert(key uint64, part span, same func(span) bool) bool {
	if 2*len(s.slots) >= len(s.keys) {
		s.grow()
	}
	mask := uint64(len(s.keys) - 1)
	for i := key >> 1 & mask; ; i = (i + 1) & mask {
		switch s.keys[i] {
		case 0:
			s.keys[i], s.parts[i] = key, part
			s.slots = append(s.slots, int32(i))
			return true
		case key:
			if same == nil || same(s.parts[i]) {
				return false
			}
		}
	}
}

func (s *marks) grow() {
	old := *s
	size := max(firstTable, 4*len(old.keys))
	s.keys, s.parts, s.slots = make([]uint64, size), make([]span, size), make([]int32, 0, size/2)
	for _, slot := range old.slots {
		s.insert(old.keys[slot], old.parts[slot], differ)
	}
}

// reset forgets all. A table that had to grow is left to the collector, so
// that one large message does not make the next ones pay.
func (s *marks) reset() {
	s.list = s.list[:0]
	if len(s.keys) > firstTable {
		*s = marks{list: s.list}
		return
	}
	for _, slot := range s.slots {
		s.keys[slot] = 0
	}
	s.slots = s.slots[:0]
}
