// Chat is a small chat whose endpoint uses every safeguard of wsguard.
//
//	go run -C examples ./chat
//
// It needs no other set-up: users, rooms and keys are in memory, and gone when
// it ends. A client logs in at POST /login, connects to /ws with the token it
// got (in Authorization, ?token= or a "bearer." subprotocol) or with a ticket
// (?ticket=, from POST /ticket with the cookie or the token) from an allowed
// Origin, and sends
//
//	{"type":"join","room":R}  {"type":"say","room":R,"text":T}  {"type":"leave","room":R}
//
// to be sent joined, left, said and error. When it is sent expiring, it sends
//
//	{"type":"reauthenticate","token":T}
//
// with a new token, from POST /session, or it is closed with 3000. POST /logout
// ends the session with its tokens and connections, POST /logout/elsewhere the
// user's others. GET / is a page that does all this.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program: it returns its exit status when ctx has ended.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parseFlags(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "chat: wrong flags:\n%v\n", err)
		return 2
	}
	var handler slog.Handler = slog.NewTextHandler(stderr, nil)
	if c.log == "json" {
		handler = slog.NewJSONHandler(stderr, nil)
	}
	log := slog.New(handler)

	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", c.addr)
	if err != nil {
		fmt.Fprintf(stderr, "chat: %v\n", err)
		return 1
	}
	if err := serveChat(ctx, c, ln, log, func(base string) { fmt.Fprintf(stdout, "listening on %s\n", base) }); err != nil {
		fmt.Fprintf(stderr, "chat: %v\n", err)
		return 1
	}
	return 0
}

// serveChat runs the chat on a listener until ctx ends, and calls ready with the
// chat's own origin when it is.
func serveChat(ctx context.Context, c config, ln net.Listener, log *slog.Logger, ready func(base string)) error {
	defer ln.Close()
	s, err := newServer(c, baseURL(c, ln.Addr()), log)
	if err != nil {
		return err
	}
	handler, err := s.handler()
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second, // of requests; connections have the guard's limits
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10, // twice the longest token
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	srv.Protocols = new(http.Protocols)
	srv.Protocols.SetHTTP1(true) // which an upgrade needs
	if c.tls {
		certificate, err := selfSigned(c.host)
		if err != nil {
			return err
		}
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	}

	failed := make(chan error, 1)
	go func() {
		if c.tls {
			failed <- srv.ServeTLS(ln, "", "")
		} else {
			failed <- srv.Serve(ln)
		}
	}()
	ready(s.base)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		s.shutdown(srv)
		return nil
	}
}

// The end of the chat takes less than two seconds, whatever its clients do:
// what has arrived is passed on, then all are told to go.
const (
	lastMessages = 100 * time.Millisecond
	lastGoodbyes = 1500 * time.Millisecond
)

func (s *server) shutdown(srv *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), lastMessages+lastGoodbyes)
	defer cancel()
	last := time.After(lastMessages)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		stopping, cancel := context.WithTimeout(ctx, lastMessages)
		defer cancel()
		_ = srv.Shutdown(stopping) // what is still being requested is cut off at the end
		<-last
		s.hub.end()
		_, _ = s.registry.Shutdown(ctx) // whoever has not been in the hub
	}()
	select {
	case <-gone:
	case <-ctx.Done():
	}
	_ = srv.Close()
}

// baseURL is the chat's own origin, with the real port. One that listens on
// all addresses is reached at the loopback address.
func baseURL(c config, addr net.Addr) string {
	host, port := c.host, c.port
	if unspecified(host) {
		host = "127.0.0.1"
	}
	if tcp, ok := addr.(*net.TCPAddr); ok {
		port = fmt.Sprint(tcp.Port)
	}
	scheme := "http"
	if c.tls {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
