package utf8stream_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
	"unsafe"

	"github.com/wsguard/wsguard/internal/utf8stream"
)

// never is the place of the byte at which a text is refused, where none is.
const never = -1

// rows is what the tests and the fuzz target start from.
var rows = []struct {
	name, text string
	bad        int  // index of the byte at which the text is refused
	complete   bool // the text may end
}{
	// Allowed: the sequences of RFC 3629, section 4, first and last.
	{"empty", "", never, true},
	{"NUL", "\x00", never, true},
	{"last of one byte", "\x7f", never, true},
	{"first of two bytes", "\xc2\x80", never, true},
	{"last of two bytes", "\xdf\xbf", never, true},
	{"first of three bytes", "\xe0\xa0\x80", never, true},
	{"last after E0", "\xe0\xbf\xbf", never, true},
	{"first after E1", "\xe1\x80\x80", never, true},
	{"last after EC", "\xec\xbf\xbf", never, true},
	{"first after ED", "\xed\x80\x80", never, true},
	{"last before the surrogates", "\xed\x9f\xbf", never, true},
	{"first after the surrogates", "\xee\x80\x80", never, true},
	{"byte order mark", "\xef\xbb\xbf", never, true},
	{"last of three bytes", "\xef\xbf\xbf", never, true},
	{"first of four bytes", "\xf0\x90\x80\x80", never, true},
	{"last after F0", "\xf0\xbf\xbf\xbf", never, true},
	{"first after F1", "\xf1\x80\x80\x80", never, true},
	{"last after F3", "\xf3\xbf\xbf\xbf", never, true},
	{"first after F4", "\xf4\x80\x80\x80", never, true},
	{"U+10FFFF", "\xf4\x8f\xbf\xbf", never, true},
	{"every length", "a\u00e9\u4e2d\U0001f600a", never, true},

	// Unfinished: good so far, but not to end here.
	{"C2 alone", "\xc2", never, false},
	{"DF alone", "\xdf", never, false},
	{"E0 alone", "\xe0", never, false},
	{"E0 and the next", "\xe0\xa0", never, false},
	{"E1 and the next", "\xe1\x80", never, false},
	{"EC and the next", "\xec\xbf", never, false},
	{"ED alone", "\xed", never, false},
	{"ED and the next", "\xed\x9f", never, false},
	{"EF and the next", "\xef\xbf", never, false},
	{"F0 alone", "\xf0", never, false},
	{"F0 and the next", "\xf0\x90", never, false},
	{"F0 and two", "\xf0\x90\x80", never, false},
	{"F1 and two", "\xf1\x80\x80", never, false},
	{"F3 and the next", "\xf3\xbf", never, false},
	{"F4 alone", "\xf4", never, false},
	{"F4 and two", "\xf4\x8f\xbf", never, false},

	// Malformed: the byte comes where it cannot.
	{"continuation without a start", "\x80", 0, false},
	{"last continuation without a start", "\xbf", 0, false},
	{"one continuation too many", "\xc2\x80\x80", 2, false},
	{"one continuation too many after four", "\xf0\x90\x80\x80\xbf", 4, false},
	{"C2 and ASCII", "\xc2\x7f", 1, false},
	{"C2 and a start", "\xc2\xc2\x80", 1, false},
	{"DF and C0", "\xdf\xc0", 1, false},
	{"E0 and ASCII", "\xe0a", 1, false},
	{"E0 and C0", "\xe0\xc0", 1, false},
	{"E0 A0 and ASCII", "\xe0\xa0\x7f", 2, false},
	{"E0 A0 and C0", "\xe0\xa0\xc0", 2, false},
	{"E1 and 7F", "\xe1\x7f\x80", 1, false},
	{"EC and C0", "\xec\xc0\x80", 1, false},
	{"ED and 7F", "\xed\x7f\x80", 1, false},
	{"EE and 7F", "\xee\x7f\x80", 1, false},
	{"EF and C0", "\xef\xc0\x80", 1, false},
	{"EF BF and C0", "\xef\xbf\xc0", 2, false},
	{"F0 and C0", "\xf0\xc0\x80\x80", 1, false},
	{"F0 90 and 7F", "\xf0\x90\x7f\x80", 2, false},
	{"F0 90 80 and 7F", "\xf0\x90\x80\x7f", 3, false},
	{"F0 90 80 and C0", "\xf0\x90\x80\xc0", 3, false},
	{"F1 and 7F", "\xf1\x7f\x80\x80", 1, false},
	{"F3 and C0", "\xf3\xc0\x80\x80", 1, false},
	{"F4 and 7F", "\xf4\x7f\x80\x80", 1, false},
	{"F4 8F and C0", "\xf4\x8f\xc0\x80", 2, false},
	{"goes on after a word of ASCII", "\xc2aaaaaaaa\x80", 1, false},
	{"goes on after four words of ASCII", "\xe4\xb8" + strings.Repeat("a", 32) + "\xad", 2, false},

	// Denied: what no byte that follows can make good.
	{"overlong NUL", "\xc0\x80", 0, false},
	{"overlong slash", "\xc0\xaf", 0, false},
	{"last overlong of two bytes", "\xc1\xbf", 0, false},
	{"overlong NUL of three bytes", "\xe0\x80\x80", 1, false},
	{"last overlong of three bytes", "\xe0\x9f\xbf", 1, false},
	{"overlong NUL of four bytes", "\xf0\x80\x80\x80", 1, false},
	{"last overlong of four bytes", "\xf0\x8f\xbf\xbf", 1, false},
	{"first surrogate", "\xed\xa0\x80", 1, false},
	{"last surrogate", "\xed\xbf\xbf", 1, false},
	{"pair of surrogates", "\xed\xa0\xbd\xed\xb8\x80", 1, false},
	{"first above U+10FFFF", "\xf4\x90\x80\x80", 1, false},
	{"last after F4", "\xf4\xbf\xbf\xbf", 1, false},
	{"F5", "\xf5\x80\x80\x80", 0, false},
	{"five bytes", "\xf8\x88\x80\x80\x80", 0, false},
	{"six bytes", "\xfc\x84\x80\x80\x80\x80", 0, false},
	{"FE", "\xfe", 0, false},
	{"FF", "\xff", 0, false},
}

// A piece of a text is judged by one call.
type piece struct {
	n   int // its length
	key [4]byte
	at  int64 // of its first byte in its frame
}

// receive gives text to c in pieces. Each must be refused that has the byte at
// bad or comes after it, and no other.
func receive(t testing.TB, c *utf8stream.Checker, text []byte, bad int, pieces ...piece) {
	t.Helper()
	var room [128 + 8]byte
	buf := room[:len(text)+8]
	for i := range buf {
		buf[i] = 0xFF // behind the end of a piece; to read it would refuse
	}
	sent := 0
	for _, p := range pieces {
		b := buf[sent : sent+p.n]
		for i := range b {
			b[i] = text[sent+i] ^ p.key[(p.at+int64(i))&3]
		}
		sent += p.n
		good := c.Masked(b, p.key, p.at)
		if want := bad == never || bad >= sent; good != want {
			t.Fatalf("% x in pieces %v: good is %v at %d, want %v", text, pieces, good, sent, want)
		}
		for i := range b {
			if b[i] != text[sent-p.n+i]^p.key[(p.at+int64(i))&3] {
				t.Fatalf("% x in pieces %v: byte %d was changed", text, pieces, sent-p.n+i)
			}
		}
	}
	if sent != len(text) {
		t.Fatalf("the pieces %v are not % x", pieces, text)
	}
}

// Keys whose bytes have the highest bit, have it not, and have it in turns.
var (
	keyA = [4]byte{0x37, 0xfa, 0x21, 0x3d} // RFC 6455, section 5.7
	keyB = [4]byte{0x80, 0x00, 0x7f, 0xff}
)

// R43: each row stands alone and among ASCII, in two frames that are cut at
// every byte, at every offset of the keys.
func TestTwoFrames(t *testing.T) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			for _, before := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 32, 45} {
				for _, after := range []int{0, 1, 5, 8, 9, 41} {
					text := []byte(strings.Repeat("b", before) + row.text + strings.Repeat("a", after))
					bad, complete := row.bad, row.complete
					if bad != never {
						bad += before
					} else if !complete && after > 0 {
						bad = before + len(row.text) // a character breaks off
					}
					for cut := range len(text) + 1 {
						for at := range int64(4) {
							var c utf8stream.Checker
							receive(t, &c, text, bad, piece{cut, keyA, at}, piece{len(text) - cut, keyB, 1<<40 + at ^ int64(cut&3)})
							if got, want := c.Complete(), complete && bad == never; got != want {
								t.Fatalf("% x cut at %d: complete is %v, want %v", text, cut, got, want)
							}
							if c != (utf8stream.Checker{}) {
								t.Fatalf("% x cut at %d: the next text does not begin anew", text, cut)
							}
						}
					}
				}
			}
		})
	}
}

// Every string of up to three bytes is judged as a whole and in pieces, which
// must come to the same.
func TestEveryShortString(t *testing.T) {
	var s, m [3]byte
	key, at := keyA, int64(1)
	var whole [4]utf8stream.Checker // whole[i] has read i bytes of m at once
	var hope [4]bool
	hope[0] = true
	var visit func(n int)
	visit = func(n int) {
		for b := range 256 {
			s[n], m[n] = byte(b), byte(b)^key[(at+int64(n))&3]
			hope[n+1] = hope[n] && hopeful(s[:n+1])
			whole[n+1] = utf8stream.Checker{}
			if got := whole[n+1].Masked(m[:n+1], key, at); got != hope[n+1] {
				t.Fatalf("% x: good is %v", s[:n+1], got)
			}
			for cut := 1; cut <= n && hope[n]; cut++ {
				c := whole[cut]
				if got := c.Masked(m[cut:n+1], key, at+int64(cut)); got != hope[n+1] || c != whole[n+1] {
					t.Fatalf("% x cut at %d: good is %v, or the state differs", s[:n+1], cut, got)
				}
			}
			c := whole[n+1]
			if got, want := c.Complete(), hope[n] && utf8.Valid(s[:n+1]); got != want {
				t.Fatalf("% x: complete is %v, want %v", s[:n+1], got, want)
			}
			if n < 2 {
				visit(n + 1)
			}
		}
	}
	visit(0)
}

// Strings of four bytes, of all that stand at a bound of the grammar, lie at
// every place of a word.
func TestFourBytes(t *testing.T) {
	bounds := []byte("\x00\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xec\xed\xee\xef\xf0\xf1\xf3\xf4\xf5\xff")
	n := len(bounds)
	text := make([]byte, 12)
	for i := range n * n * n * n {
		before := i % 8
		four := text[before : before+4]
		four[0], four[1], four[2], four[3] = bounds[i/(n*n*n)], bounds[i/(n*n)%n], bounds[i/n%n], bounds[i%n]
		valid, bad := utf8.Valid(text), firstBad(text)
		for cut := before; cut <= before+4; cut++ {
			var c utf8stream.Checker
			receive(t, &c, text, bad, piece{cut, keyB, 3}, piece{len(text) - cut, keyA, 0})
			if got := c.Complete(); got != valid {
				t.Fatalf("% x cut at %d: complete is %v, want %v", text, cut, got, valid)
			}
		}
		copy(four, "\x00\x00\x00\x00")
	}
}

// Long texts of all kinds of characters, some with a byte changed, arrive in
// pieces of all lengths.
func TestLongTexts(t *testing.T) {
	r := rand.New(rand.NewPCG(3629, 6455))
	refused := 0
	for range 40_000 {
		var text []byte
		for len(text) < 100 {
			switch r.IntN(8) {
			case 0:
				text = append(text, strings.Repeat("a", r.IntN(70))...)
			case 1, 2:
				text = utf8.AppendRune(text, rune(0x80+r.IntN(0x780)))
			case 3, 4:
				text = utf8.AppendRune(text, rune(0x800+r.IntN(0xF800)))
			case 5, 6:
				text = utf8.AppendRune(text, rune(0x10000+r.IntN(0x100000)))
			default:
				text = append(text, ' ')
			}
		}
		text = text[:r.IntN(101)]
		if len(text) > 0 && r.IntN(2) == 0 {
			text[r.IntN(len(text))] = byte(r.IntN(256))
		}
		var pieces []piece
		for rest := len(text); rest > 0; {
			p := piece{1 + r.IntN(rest), keyA, r.Int64()}
			if r.IntN(2) == 0 {
				p.n, p.key = 1+r.IntN(min(rest, 9)), keyB
			}
			pieces = append(pieces, p)
			rest -= p.n
		}
		var c utf8stream.Checker
		bad := firstBad(text)
		receive(t, &c, text, bad, pieces...)
		if got, want := c.Complete(), utf8.Valid(text); got != want {
			t.Fatalf("% x: complete is %v, want %v", text, got, want)
		}
		if bad != never {
			refused++
		}
	}
	if refused < 4_000 || refused > 36_000 {
		t.Errorf("%d of 40,000 texts were refused: the test has lost its balance", refused)
	}
}

// What was refused stays so, until another text begins.
func TestRefusedUntilComplete(t *testing.T) {
	for _, more := range []string{"", "a", "\x80", "\xc2\x80", strings.Repeat("a", 8), strings.Repeat("a", 9), strings.Repeat("a", 99)} {
		var c utf8stream.Checker
		if c.Plain([]byte("a\xff")) || c.Plain([]byte(more)) || c.Masked([]byte(more), [4]byte{}, 0) {
			t.Errorf("%q is good after what was refused", more)
		}
		if c.Complete() {
			t.Errorf("a text that was refused is complete after %q", more)
		}
		if !c.Plain([]byte("b")) || !c.Complete() {
			t.Errorf("a new text is refused after %q", more)
		}
	}
}

func TestBoundsOfMemory(t *testing.T) {
	if size := unsafe.Sizeof(utf8stream.Checker{}); size > 8 {
		t.Errorf("a Checker has %d bytes: every connection has one", size)
	}
	text := []byte(strings.Repeat("a\u00e9\u4e2d\U0001f600", 100))
	var c utf8stream.Checker
	if n := testing.AllocsPerRun(100, func() { c.Masked(text, keyA, 1); c.Plain(text); c.Complete() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// words is about size bytes of words of letters that no processor foresees.
func words(letters string, size int) string {
	r := rand.New(rand.NewPCG(1, 1))
	all := []rune(letters)
	var b strings.Builder
	for b.Len() < size {
		for range 1 + r.IntN(10) {
			b.WriteRune(all[r.IntN(len(all))])
		}
		b.WriteByte(' ')
	}
	return b.String()
}

func BenchmarkMasked(b *testing.B) {
	for _, row := range []struct {
		name, text string
		piece      int
	}{
		{"ASCII of 130 bytes", strings.Repeat("0123456789", 13), 4096},
		{"ASCII of 4 KiB", strings.Repeat("01234567", 512), 4096},
		{"Cyrillic of one message", words("абвгдежзийклмнопрстуфхцчшщъыьэюя", 120), 4096},
		{"Cyrillic of 4 KiB", words("абвгдежзийклмнопрстуфхцчшщъыьэюя", 4096), 4096},
		{"French of 4 KiB", words("aeeiioubcdfghjklmnpqrstvàéèç", 4096), 4096},
		{"CJK of 4 KiB", words("的一是不了人我在有他这中大来上国", 4096), 4096},
		{"emoji of 4 KiB", strings.Repeat("😀😇🚀🌍", 256), 4096},
		{"hostile: every length in no order", words("aéж中国😀🚀", 4096), 4096},
		{"hostile: two bytes of 32 not ASCII", strings.Repeat(strings.Repeat("a", 30)+"é", 128), 4096},
		{"hostile: pieces of one byte", words("aéж中国😀🚀", 4096), 1},
	} {
		plain := []byte(row.text)
		masked := bytes.Clone(plain)
		for i := range masked {
			masked[i] ^= keyA[i&3]
		}
		b.Run(fmt.Sprintf("%s/Checker", row.name), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(masked)))
			for b.Loop() {
				var c utf8stream.Checker
				for at := 0; at < len(masked); at += row.piece {
					if !c.Masked(masked[at:min(at+row.piece, len(masked))], keyA, int64(at)) {
						b.Fatal("refused")
					}
				}
				if !c.Complete() {
					b.Fatal("not complete")
				}
			}
		})
		b.Run(fmt.Sprintf("%s/utf8.Valid", row.name), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(plain)))
			for b.Loop() {
				if !utf8.Valid(plain) {
					b.Fatal("refused")
				}
			}
		})
	}
}
