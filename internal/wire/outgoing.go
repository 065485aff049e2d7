package wire

import (
	"bytes"
	"sync/atomic"
)

// maxResponse bounds the HTTP response head that a library writes itself.
const maxResponse = 16 << 10

// outgoing follows what the library writes: an HTTP response, then frames. What
// it cannot follow it marks lost, and nothing is ever put between bytes that
// are.
type outgoing struct {
	inResponse bool
	lost       bool
	response   *response // so far, if it was begun
	frames     parser
}

// response is what is known of the head of an HTTP response.
type response struct {
	status []byte // its first bytes: "HTTP/1.1 101"
	tail   uint32 // its last four bytes, to find the empty line
	length int
}

// between reports whether a control frame may be written now.
func (o *outgoing) between() bool { return !o.lost && !o.inResponse && o.frames.between() }

// ahead returns the code of the close frame that p will complete, or 0.
func (o *outgoing) ahead(p []byte) uint32 {
	switch {
	case o.lost || o.inResponse || len(p) == 0:
		return 0
	case o.between() && p[0]&0x0F != opClose, !o.between() && o.frames.op != opClose:
		return 0 // in the usual case
	}
	var ignored atomic.Int64
	copied := *o
	for _, code := range copied.follow(p, &ignored) {
		return uint32(code)
	}
	return 0
}

// follow takes note of p, counts its messages, and returns the codes of the
// close frames in it.
func (o *outgoing) follow(p []byte, messages *atomic.Int64) (closes []uint16) {
	p = o.skipResponse(p)
	for !o.lost && !o.inResponse {
		n, ev, err := o.frames.next(p)
		p = p[n:]
		switch {
		case err != nil:
			o.lost = true
		case ev == nothing:
			return closes
		case ev == message:
			messages.Add(1)
		case ev == frame && o.frames.op == opClose:
			closes = append(closes, o.frames.closeCode())
		}
	}
	return closes
}

// rest takes note of the bytes of p that end the response or the frame in
// progress, and returns how many they are: 0 between two frames.
func (o *outgoing) rest(p []byte) (n int) {
	n = len(p) - len(o.skipResponse(p))
	for !o.lost && !o.inResponse && !o.frames.between() {
		k, ev, err := o.frames.next(p[n:])
		n += k
		if err != nil {
			o.lost = true
		}
		if ev == nothing {
			break
		}
	}
	return n
}

// skipResponse passes over the head of the HTTP response. Unless it is a 101,
// what follows are no frames.
func (o *outgoing) skipResponse(p []byte) []byte {
	const prefix = len("HTTP/1.1 101")
	for i, b := range p {
		if !o.inResponse || o.lost {
			return p[i:]
		}
		if o.response == nil {
			o.response = new(response)
		}
		r := o.response
		if len(r.status) < prefix {
			r.status = append(r.status, b)
		}
		r.tail = r.tail<<8 | uint32(b)
		r.length++
		if r.tail == 0x0D0A0D0A { // an empty line
			o.inResponse, o.response = false, nil
			o.lost = !bytes.HasSuffix(r.status, []byte(" 101"))
		} else if r.length > maxResponse {
			o.lost = true
		}
	}
	if o.inResponse {
		return nil
	}
	return p[len(p):]
}
