package wsguard_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// Text that is UTF-8 (RFC 3629) passes: every class of characters, the first
// and the last of each, and what Unicode calls noncharacters, which are
// characters all the same.
func TestConformanceText(t *testing.T) {
	texts := map[string]string{
		"Greek":                  "κόσμε",
		"Latin with accents":     "Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich",
		"Japanese":               "色は匂へど散りぬるを",
		"Arabic and Hebrew":      "مرحبا שלום",
		"combined":               "e\u0301\u0323",
		"joined emoji":           "\U0001F469\u200D\U0001F469\u200D\U0001F467",
		"a byte order mark":      "\uFEFFa",
		"controls":               "\x00\x01\x1B\x7F\u0080\u009F",
		"characters by length":   "a\u00E9\u20AC\U0001F600\u20AC\u00E9a",
		"lengths around a word":  "1234567\u00E91234567\u20AC12345\U0001F600",
		"bidirectional controls": "\u202E\u2066",
	}
	for _, r := range []rune{
		0, 0x7F, 0x80, 0x7FF, 0x800, 0xFFF, 0x1000, 0xCFFF, 0xD000, 0xD7FF, 0xE000, 0xFDCF, 0xFDD0, 0xFDEF, 0xFFFD, 0xFFFE,
		0xFFFF, 0x10000, 0x3FFFF, 0x40000, 0xFFFFF, 0x100000, 0x10FFFF,
	} {
		texts[fmt.Sprintf("%U", r)] = string(r)
	}
	for plane := rune(1); plane <= 16; plane++ {
		texts[fmt.Sprintf("the noncharacters of plane %d", plane)] = string([]rune{plane<<16 | 0xFFFE, plane<<16 | 0xFFFF})
	}
	var rows []script
	for name, s := range texts {
		if !utf8.ValidString(s) {
			t.Fatalf("%s: %q is not UTF-8", name, s)
		}
		back := textBack(s)
		rows = append(rows,
			script{name: "5.6 " + name, moves: do(send(text(s)).backs(back))},
			script{name: "5.6 " + name + " by the octet", moves: do(octets(text(s)).backs(back))},
			script{name: "5.6 " + name + " in fragments of one octet", moves: do(send(inFragments(opText, strings.Split(s, "")...)...).backs(back))})
	}
	conform(t, rows)
}

// notText are texts that are not UTF-8, up to the octet that makes them so.
func notText() map[string]string {
	texts := map[string]string{
		"first continuation":             "\x80",
		"last continuation":              "\xBF",
		"continuation after ASCII":       "a\x80",
		"continuation after a character": "\u20AC\xBF",
		"continuation too many, 2":       "\xC2\x80\x80",
		"continuation too many, 4":       "\xF0\x90\x80\x80\x80",
		"overlong NUL":                   "\xC0",
		"overlong slash":                 "\xC0",
		"overlong, 2 octets, last":       "\xC1",
		"overlong slash, 3 octets":       "\xE0\x80",
		"overlong, 3 octets, last":       "\xE0\x9F",
		"overlong slash, 4 octets":       "\xF0\x80",
		"overlong, 4 octets, last":       "\xF0\x8F",
		"first surrogate":                "\xED\xA0",
		"last of the high surrogates":    "\xED\xAF",
		"first of the low surrogates":    "\xED\xB0",
		"last surrogate":                 "\xED\xBF",
		"surrogate after Greek":          "κόσμε\xED\xA0",
		"above U+10FFFF":                 "\xF4\x90",
		"far above U+10FFFF":             "\xF4\xBF",
		"UTF-16":                         "\xFE",
		"UTF-16, other way round":        "\xFF",
		"Latin-1":                        "b\xFC",
		"two beginnings":                 "\xC3\xC3",
		"a beginning of 3 in one of 4":   "\xF0\x9F\xE2",
	}
	for b := 0xF5; b <= 0xFF; b++ {
		texts[fmt.Sprintf("impossible octet %02X", b)] = string([]byte{byte(b)})
	}
	// What begins a character must go on, up to its length.
	for _, begun := range []string{
		"\xC2", "\xDF", "\xE0", "\xE0\xA0", "\xE1", "\xE1\x80", "\xEC\xBF", "\xED\x9F", "\xEF", "\xEF\xBF",
		"\xF0", "\xF0\x90", "\xF0\x90\x80", "\xF1\x80", "\xF3\xBF\xBF", "\xF4", "\xF4\x8F", "\xF4\x8F\xBF",
	} {
		texts[fmt.Sprintf("a space after % X", begun)] = begun + " "
	}
	// A validator may look at many octets at once: the bad one stands at every place.
	for _, n := range []int{1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65} {
		texts[fmt.Sprintf("after %d ASCII octets", n)] = strings.Repeat("a", n) + "\xFF"
	}
	return texts
}

// Text that is not UTF-8 is refused with the octet that makes it so: the rest
// of the message, which is declared, is never sent.
func TestConformanceNoText(t *testing.T) {
	var rows []script
	for name, s := range notText() {
		whole := text(s + "SMUGGLED")
		sent := whole[:len(whole)-len("SMUGGLED")]
		rows = append(rows,
			script{name: "8.1 " + name, moves: do(send(sent)), end: notUTF8},
			script{name: "8.1 " + name + " by the octet", moves: do(octets(sent)), end: notUTF8},
			script{name: "8.1 " + name + " in fragments of one octet", moves: do(each(inFragments(opText, append(octetsOf(s), "")...)[:len(s)]...)), end: notUTF8})
	}
	const bad = "a\xFF"
	conform(t, append(rows,
		script{name: "8.1 in the second fragment", moves: do(send(beginText("fine")), send(more(bad))), end: notUTF8,
			after: [][]byte{last("b"), text("SMUGGLED")}},
		script{name: "8.1 in the second fragment, of which the rest is not there", moves: do(
			send(beginText("fine")), octets(more(bad + "rest")[:8])), end: notUTF8},
		script{name: "8.1 in the last fragment", moves: do(send(beginText("fine"), more("")), send(last(bad))), end: notUTF8},
		script{name: "8.1 over two fragments", moves: do(send(beginText("\xED")), send(more("\xA0"))), end: notUTF8},
		script{name: "8.1 over two fragments and an empty one", moves: do(send(beginText("\xF4"), more("")), send(more("\x90"))), end: notUTF8},
		script{name: "8.1 after a ping between fragments", moves: do(
			send(beginText("\xE2\x82"), ping("\x82")).backs(pongBack("\x82")), send(more("a"))), end: notUTF8},
		script{name: "8.1 after a message", moves: do(send(text("fine")).backs(textBack("fine")), send(text(bad))), end: notUTF8},
		script{name: "8.1 deep in a long message", moves: do(chops(997, text(strings.Repeat("\u20AC", 5000) + "\xFF" + strings.Repeat("a", 5000))[:15009])), end: notUTF8},
	))
}

// octetsOf cuts s into its bytes.
func octetsOf(s string) (parts []string) {
	for i := range len(s) {
		parts = append(parts, s[i:i+1])
	}
	return parts
}

// Text may not end within a character. Where the end shows only with the last
// octet, or with an empty fragment, that is where it is refused.
func TestConformanceUnfinishedText(t *testing.T) {
	var rows []script
	for _, s := range []string{
		"\xC2", "\xDF", "\xE0", "\xE0\xA0", "\xE2\x82", "\xED\x9F", "\xEF\xBF", "\xF0", "\xF0\x9F", "\xF0\x9F\x98", "\xF4\x8F\xBF",
		"fine, but \xE2", "1234567\xF0\x9F\x98", "κόσμ\xCE",
	} {
		rows = append(rows,
			script{name: fmt.Sprintf("8.1 text that ends with %q", s), moves: do(send(text(s))), end: notUTF8},
			script{name: fmt.Sprintf("8.1 text that ends with %q by the octet", s), moves: do(octets(text(s))), end: notUTF8},
			script{name: fmt.Sprintf("8.1 text that ends with %q, and an empty fragment", s), moves: do(
				send(beginText(s)), octets(last(""))), end: notUTF8},
			script{name: fmt.Sprintf("8.1 text that ends with %q, and a message that could go on", s), moves: do(
				send(text(s), text("\x80"))), end: notUTF8})
	}
	conform(t, rows)
}

// What is no text is not judged, and has no part in judging what is.
func TestConformanceBytesThatAreNoText(t *testing.T) {
	var rows []script
	for name, s := range notText() {
		rows = append(rows, script{name: "5.6 binary: " + name, moves: do(octets(binaries(s)).backs(binaryBack(s)))})
	}
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	conform(t, append(rows,
		script{name: "5.6 binary: every octet", moves: do(send(binaries(string(every))).backs(binaryBack(string(every))))},
		script{name: "5.6 binary: every octet in a fragment", moves: do(
			send(inFragments(opBinary, octetsOf(string(every))...)...).backs(binaryBack(string(every))))},
		script{name: "5.6 binary that ends within a character, then text", moves: do(
			send(binaries("\xE2"), text("a")).backs(binaryBack("\xE2"), textBack("a")))},
		script{name: "5.6 text, then binary that could follow it", moves: do(
			send(text("a"), binaries("\x82"), text("b")).backs(textBack("a"), binaryBack("\x82"), textBack("b")))},
		script{name: "5.5.2 ping that is no text within text", moves: do(
			send(beginText("\xE2"), ping("\xFF\xE2")).backs(pongBack("\xFF\xE2")), send(last("\x82\xAC")).backs(textBack("\u20AC")))},
		script{name: "5.5.3 pong that is no text within text", moves: do(
			send(beginText("\xE2"), pong("\xFF\xE2"), last("\x82\xAC")).backs(textBack("\u20AC")))},
	))
}
