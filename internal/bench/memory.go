package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/wsguard/wsguard"
)

// inMemory is a connection of a chain over nc, without a server.
func inMemory(chain func(http.Handler) http.Handler, nc net.Conn, token string) (c *wsguard.Conn, err error) {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request(token))))
	if err != nil {
		return nil, err
	}
	r.RemoteAddr = "192.0.2.1:1"
	w := &hijackable{httptest.NewRecorder(), nc}
	chain(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err = wsguard.Accept(w, r)
	})).ServeHTTP(w, r)
	if c == nil && err == nil {
		err = fmt.Errorf("refused with %d", w.Code)
	}
	return c, err
}

// hijackable is a response whose connection can be had.
type hijackable struct {
	*httptest.ResponseRecorder
	nc net.Conn
}

func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.nc, bufio.NewReadWriter(bufio.NewReaderSize(h.nc, 16), bufio.NewWriterSize(h.nc, 16)), nil
}
