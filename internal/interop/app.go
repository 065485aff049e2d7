package interop

import (
	"bytes"
	"net/http"
)

// An app is what the handlers of all libraries do: they echo, but for the
// commands below.
type app struct {
	stop  <-chan struct{} // ends a stream
	limit int64           // bytes of a message; 0 is what the library's README leaves it at
	seen  *witness        // nil where nobody asks

	died       func() // if it is set, it is called in place of a panic
	sameOrigin bool   // the library's own check of origins, if it has one, is left on
}

// A socket is what the app needs of a library's connection.
type socket struct {
	write  func(binary bool, p []byte) error
	close  func() // the library's own way to close, with byeCode
	leave  func() // ends the handler of a library that has callbacks in place of a loop
	stream func(next func() ([]byte, bool))
}

// opened is called by the handler between the upgrade and everything else,
// where nothing of the library's closes the connection.
func (a app) opened(r *http.Request) {
	if r.URL.RawQuery == "panic" {
		panic("the application has a defect")
	}
}

// message acts on a message, and says whether the handler goes on.
func (a app) message(s socket, binary bool, p []byte) bool {
	a.seen.message()
	switch string(p) {
	case "close":
		s.close()
		a.seen.closeReturned()
		return false
	case "return":
		s.leave()
		return false
	case "stream":
		a.startStream(s)
		return true
	}
	return s.write(binary, bytes.Clone(p)) == nil
}

// streamed is each message of a stream; streamEnd follows the last.
var (
	streamed  = bytes.Repeat([]byte("stream  "), 2<<10)
	streamEnd = []byte("end of stream")
)

// left is called by the handler when nothing of the library's runs for the
// connection any more, or was never begun.
func (a app) left() { a.seen.left() }

// survive is deferred in goroutines, and tells of a panic where somebody asks.
func (a app) survive() {
	if a.died == nil {
		return
	}
	if recover() != nil {
		a.died()
	}
}

// startStream sends messages until stop is closed, while the handler reads on.
func (a app) startStream(s socket) {
	next := func() ([]byte, bool) {
		select {
		case <-a.stop:
			return streamEnd, false
		default:
			return streamed, true
		}
	}
	if s.stream != nil {
		s.stream(next)
		return
	}
	a.seen.writes()
	go func() {
		defer a.seen.wrote()
		for {
			p, more := next()
			if s.write(false, p) != nil || !more {
				return
			}
		}
	}()
}
