package wsguardtest

import (
	"net/http"
	"strings"
)

const terabyte = 1 << 40

var wireVectors = []Vector{
	flooding("empty-continuations", "R42", "A message is continued with frames of no bytes, which no limit on size sees.",
		floods(frame(opText, "x"), frame(opMore, ""))),
	flooding("one-byte-fragments", "R42", "A message is continued with frames of one byte.",
		floods(frame(opText, "x"), frame(opMore, "x"))),
	flooding("ping-flood", "R46", "Pings come as fast as the server takes them, and each is to be answered.",
		floods(nil, frame(fin|opPing, ""))),
	flooding("pong-flood", "R46", "Pongs that nobody asked for come as fast as the server takes them.",
		floods(nil, frame(fin|opPong, ""))),
	flooding("early-flood", "R42", "Empty continuations come in one segment with the handshake, and more after it.", earlyFlood),
	flooding("giant-frame-streamed", "R41", "A frame declares a terabyte, and its bytes come as fast as the server takes them.",
		floods(header(fin|opText, terabyte), []byte(strings.Repeat("x", 16<<10)))),
	broken("giant-frame", "R41", 789, "A frame declares a terabyte.", header(fin|opText, terabyte)),
	broken("negative-length", "R44", 190, "A frame declares a length whose highest bit is set.", header(fin|opText, 1<<63|1)),
	broken("length-not-shortest", "R44", 130, "A length of five is written in eight bytes.",
		join([]byte{fin | opText, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0}, []byte("hello"))),
	broken("reserved-bit-1", "R44", 20, "A frame has a reserved bit set that nothing was negotiated for.", frame(fin|0x40|opText, "x")),
	broken("reserved-bit-2", "R44", 20, "A frame has the second reserved bit set.", frame(fin|0x20|opText, "x")),
	broken("reserved-bit-3", "R44", 20, "A frame has the third reserved bit set.", frame(fin|0x10|opText, "x")),
	broken("unknown-data", "R44", 20, "A frame is of an unknown kind of data.", frame(fin|0x3, "x")),
	broken("unknown-control", "R44", 20, "A frame is of an unknown kind of control.", frame(fin|0xB, "x")),
	broken("unmasked", "R44", 345, "A frame of the client is not masked.", []byte{fin | opText, 1, 'x'}),
	broken("half-ping", "R44", 20, "A ping is a fragment.", frame(opPing, "x")),
	broken("long-ping", "R44", 130, "A ping has 126 bytes.", frame(fin|opPing, strings.Repeat("x", 126))),
	broken("continuation-of-nothing", "R44", 20, "A frame continues a message that was not begun.", frame(fin|opMore, "x")),
	broken("message-in-message", "R44", 20, "A message begins within another.", join(frame(opText, "x"), frame(fin|opText, "x"))),
	broken("invalid-utf8", "R43", 176, "A text is not UTF-8.", frame(fin|opText, "\xFF\xFE")),
	broken("surrogate-utf8", "R43", 176, "A text has half of a surrogate pair in it.", frame(fin|opText, "\xED\xA0\x80")),
	broken("overlong-utf8", "R43", 176, "A text has a slash in it that is written in two bytes.", frame(fin|opText, "\xC0\xAF")),
	broken("invalid-utf8-fragment", "R43", 176, "The first fragment of a text is not UTF-8, and the last does not come.", frame(opText, "\xFF")),
	{Name: "wire/deflate-bomb", Requirements: []string{"R50", "R41"}, CWE: 409,
		What: "A compressed message of a few kilobytes becomes one a thousand times as long.", run: deflateBomb},
	closed("close-code-1005", "A close frame has a code that no frame may have.", closing(1005, "")),
	closed("close-code-999", "A close frame has a code below all that there are.", closing(999, "")),
	closed("close-of-one-byte", "A close frame has half a code.", frame(fin|opClose, "\x03")),
	closed("close-reason-not-utf8", "A close frame has a reason that is not UTF-8.", closing(1000, "\xFF\xFE")),
}

func flooding(name, requirement, what string, run func(*try) outcome) Vector {
	return Vector{Name: "wire/" + name, Requirements: []string{requirement}, CWE: 770, What: what, run: run, alone: true}
}

func broken(name, requirement string, cwe int, what string, frames []byte) Vector {
	return Vector{Name: "wire/" + name, Requirements: []string{requirement, "R45"}, CWE: cwe, What: what, run: ends(raw(frames))}
}

// closed is a row about a close frame: it has to end the connection, and must
// not be answered as if it were in order.
func closed(name, what string, frames []byte) Vector {
	return Vector{Name: "wire/" + name, Requirements: []string{"R44", "R45"}, CWE: 20, What: what, run: func(a *try) outcome {
		p, why := a.connect()
		if why != nil {
			return *why
		}
		_ = p.send(frames)
		if o := a.over(p, a.p.Patience); o.verdict != Withstood {
			return o
		}
		p.mu.Lock()
		code := p.code
		p.mu.Unlock()
		switch code {
		case 999, 1000, 1005:
			return failed("it was answered with %s, as if it were in order", closeName(code))
		}
		return passed("%s", p.how())
	}}
}

func earlyFlood(a *try) outcome {
	token, err := a.token()
	if err != nil {
		return unjudged("%v", err)
	}
	unit := frame(opMore, "")
	early := join(a.good(token).bytes(), frame(opText, "x"))
	for range 400 {
		early = append(early, unit...)
	}
	p, err := a.knockAt(a.h.addr, a.h.tls, early)
	switch {
	case silent(err):
		return unjudged("there was no response in time")
	case err != nil:
		return passed("there was no response")
	case p.resp.StatusCode != http.StatusSwitchingProtocols:
		return passed("refused with %d", p.resp.StatusCode)
	}
	return a.flood(p.listen(), nil, unit)
}
