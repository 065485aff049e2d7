package wsguard

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard/internal/clientip"
	"github.com/wsguard/wsguard/internal/wire"
)

// session is what the safeguards of one chain know of one request and the
// connection that it becomes. The first safeguard makes it; the others find it
// in the request's context. Until the upgrade it belongs to the goroutine of
// the request; what is used after it says so.
type session struct {
	// Fixed before the upgrade.
	info      ConnInfo // what observers may know
	passed    []*rule
	apart     int    // how many of them were not built into one chain with the last
	built     *guard // whom the last was built around, if that is a safeguard
	facts     fact
	https     func(http.Header) bool
	hasBody   bool
	redacted  url.Values // tokens that RedactQuery took out of the URL
	verifier  Verifier   // of Authenticate
	mayLast   bool       // whose principals need no expiry
	registry  *Registry
	observers []*Observer
	watched   bool // by a hook that is told of messages
	codes     map[string]websocket.StatusCode
	limits    wire.Limits
	rules     messageRules
	claimed   bool // the rules will be applied by a Conn
	// keepRefused leaves the connection open if the handshake is refused.
	keepRefused bool
	refused     []func(*Refusal) // told if the handshake is refused

	writer   writer
	answered bool        // the handshake is decided
	swallow  bool        // and what a library still writes is dropped
	left     atomic.Bool // the handler has returned
	hijacked bool

	// Shared after the upgrade.
	conn    *wire.Conn
	told    sync.WaitGroup // until observers know of the handshake
	refusal atomic.Pointer[Refusal]
	cancel  atomic.Pointer[context.CancelCauseFunc] // ends the context of Handler

	principal atomic.Pointer[Principal]
	parting   atomic.Pointer[Refusal] // ends the connection when the handler reads again
	app       atomic.Pointer[Conn]    // nil under another library
	vigil     *vigil                  // nil where nothing is done about the principal
	stranger  *stranger               // nil but for FromFirstMessage; while it is one, vigil is not shared

	mu    sync.Mutex
	held  []func() // gives back what the connection holds
	freed bool
	swap  sync.Mutex // one principal at a time takes the place of another
	open  bool       // upgraded: info is fixed, and conn is there
	doom  *Refusal   // what is to end it when it is
}

type sessionKey struct{}

func sessionOf(r *http.Request) *session {
	s, _ := r.Context().Value(sessionKey{}).(*session)
	return s
}

// defaultLimits hold without a safeguard.
var defaultLimits = wire.Limits{
	MessageSize:  32 << 10,
	Fragments:    1024,
	Empty:        8,
	Controls:     20,
	ControlEvery: 100 * time.Millisecond,
	MessageTime:  10 * time.Second,
	WriteTime:    10 * time.Second,
	MinRate:      4 << 10,
}

// newSession begins a session, and returns the writer and the request that the
// rest of the chain gets: a response that holds back 101, and a request whose
// header and URL are the chain's own.
func newSession(w http.ResponseWriter, r *http.Request) (*session, http.ResponseWriter, *http.Request) {
	s := &session{
		info: ConnInfo{
			ID: rand.Text()[:16], Since: time.Now(), PeerAddr: r.RemoteAddr,
			Origin: clip(r.Header.Get("Origin")), UserAgent: clip(r.Header.Get("User-Agent")),
		},
		hasBody: r.ContentLength != 0,
		limits:  defaultLimits,
	}
	s.writer = writer{ResponseWriter: w, s: s}

	r = r.WithContext(context.WithValue(r.Context(), sessionKey{}, s))
	r.Header = r.Header.Clone()
	// No extension is negotiated, under any library: compression brings bombs,
	// message smuggling and leaks of secrets. (R50)
	r.Header.Del("Sec-WebSocket-Extensions")
	u := *r.URL
	r.URL = &u
	return s, &s.writer, r
}

// cause translates a refusal for the wire, with the code that CloseCodes has
// for it. One without a code that may be sent is a mistake on this side.
func (s *session) cause(r *Refusal) wire.Cause {
	if code, ok := s.codes[r.Reason]; ok && code != r.CloseCode {
		c := *r
		c.CloseCode = code
		r = &c
	}
	code := r.CloseCode
	if !mayBeSent(code) {
		code = websocket.StatusInternalError
	}
	return wire.Cause{Code: uint16(code), Reason: r.closeReason(), Err: r}
}

// mayBeSent reports whether an endpoint may send a close code (RFC 6455,
// section 7.4).
func mayBeSent(code websocket.StatusCode) bool {
	return code >= 1000 && code <= 4999 && wire.ValidCloseCode(uint16(code))
}

// locate finds the client's address: the socket's, unless TrustProxies did.
func (s *session) locate() (netip.Addr, error) {
	if !s.info.ClientIP.IsValid() {
		c, err := clientip.Direct(s.info.PeerAddr)
		if err != nil {
			return netip.Addr{}, err
		}
		s.located(c)
	}
	return s.info.ClientIP, nil
}

func (s *session) located(c clientip.Client) {
	s.info.ClientIP, s.info.ClientIPSource = c.Addr, string(c.Source)
}

// hold keeps what the connection has taken until it ends, however it ends.
func (s *session) hold(free func()) {
	s.mu.Lock()
	if !s.freed {
		s.held = append(s.held, free)
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	free() // it has ended already
}

// free gives everything back, once.
func (s *session) free() {
	s.mu.Lock()
	held := s.held
	s.held, s.freed = nil, true
	s.mu.Unlock()
	for i := len(held) - 1; i >= 0; i-- {
		held[i]()
	}
}

// leave runs when the outermost safeguard returns, also by a panic.
func (s *session) leave() {
	s.left.Store(true)
	if p := recover(); p != nil {
		if s.hijacked {
			s.end(panicked("handler", p))
		} else {
			if !s.answered {
				_ = s.observeHandshake(panicked("handler", p))
			}
			s.free()
		}
		panic(p) // net/http logs it and lives; so may a recoverer outside
	}
	if s.hijacked {
		return
	}
	if !s.answered {
		s.notUpgraded()
	}
	s.free()
}

// notUpgraded reports a handler that answered by itself. One that has promised
// to switch and did not gets an error response, or net/http would send 200.
func (s *session) notUpgraded() {
	status := s.writer.status
	if s.writer.switching {
		s.refuse(s.writer.ResponseWriter, refuse("Handler", "upgrade_failed", errors.New("the handler wrote 101 and did not hijack")))
		return
	}
	if status == 0 {
		if s.writer.early(http.StatusOK) {
			return
		}
		status = http.StatusOK
	}
	_ = s.observeHandshake(refuse("Handler", "upgrade_failed", fmt.Errorf("the handler answered %d without an upgrade", status)))
}

// panicked is the refusal for a recovered panic. Its text is for observers.
func panicked(where string, p any) *Refusal {
	return refuse("Handler", "internal_error", fmt.Errorf("panic in %s: %v", where, p))
}

// refuse answers the handshake with a refusal. (R06, R45, R57)
func (s *session) refuse(w http.ResponseWriter, r *Refusal) {
	if s.answered {
		return
	}
	for _, tell := range s.refused {
		tell(r)
	}
	_ = s.observeHandshake(r)
	s.free()
	if s.hasBody {
		// The server would wait for it, for as long as the client likes.
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
	}
	writeRefusal(w, r, s.keepRefused && !s.hasBody)
	s.answered = true
}

func writeRefusal(w http.ResponseWriter, r *Refusal, keep bool) {
	status := r.Status
	if status < 400 || status > 599 {
		status = http.StatusInternalServerError
	}
	h := w.Header()
	for _, name := range []string{"Upgrade", "Sec-Websocket-Accept", "Sec-Websocket-Protocol"} {
		delete(h, name) // a library may have promised
	}
	switch status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodGet)
		if r.Reason == "post_required" {
			h.Set("Allow", http.MethodPost)
		}
	case http.StatusUpgradeRequired:
		h.Set("Upgrade", "websocket")
		h.Set("Sec-WebSocket-Version", "13")
	}
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64(math.Ceil(r.RetryAfter.Seconds())), 10))
	}
	h.Set("Cache-Control", "no-store")
	delete(h, "Connection")
	if !keep {
		h.Set("Connection", "close") // or a refused client keeps a descriptor outside of every limit
	}
	if status == http.StatusUpgradeRequired {
		h.Add("Connection", "Upgrade") // names the header Upgrade (RFC 9110, section 7.8)
	}
	http.Error(w, http.StatusText(status), status)
}

// end ends the connection for a refusal. It may be called from anywhere, also
// for a connection that is not upgraded yet or has ended.
func (s *session) end(r *Refusal) { s.conn.End(s.cause(r)) }

// depart is end for those who do not know how far the connection is: what is
// not upgraded yet is refused when it would be.
func (s *session) depart(r *Refusal) {
	s.mu.Lock()
	open := s.open
	if !open && s.doom == nil {
		s.doom = r
	}
	s.mu.Unlock()
	if open {
		s.end(r)
	}
}

// doomed is what depart was called for before the upgrade, or nil.
func (s *session) doomed() *Refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.doom
}

// opened notes that the connection is there, and returns what is to end it.
func (s *session) opened() *Refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = true
	return s.doom
}

// retire ends the connection once the handler is done with what it has read:
// when it waits for the next message. Another library's ends at once.
func (s *session) retire(r *Refusal) {
	s.parting.Store(r) // first: Read sets reading, and then looks
	if c := s.app.Load(); c == nil || c.reading.Load() {
		s.depart(r)
	}
}

// violation reports a refusal of the message layer or the wire. The error is
// that a hook panicked.
func (s *session) violation(r *Refusal, action string) error {
	var errs []error
	for _, o := range s.observers {
		errs = append(errs, o.violation(context.Background(), ViolationEvent{Conn: s.info, Refusal: r, Action: action}))
	}
	return errors.Join(errs...)
}

// observeHandshake tells what became of the handshake. The error is that a
// hook panicked.
func (s *session) observeHandshake(r *Refusal) error {
	var errs []error
	_, _ = s.locate()
	for _, o := range s.observers {
		errs = append(errs, o.handshake(context.Background(), HandshakeEvent{Conn: s.info, Refusal: r, Took: time.Since(s.info.Since)}))
	}
	return errors.Join(errs...)
}

// clip copies the beginning of a header value that is kept: the value itself
// would keep the whole header in memory.
func clip(s string) string { return strings.Clone(s[:min(len(s), 256)]) }

// owner is what a session is to its connection.
type owner struct{ *session }

// Ending is called once, when this side has decided to end the connection.
func (s owner) Ending(c wire.Cause) {
	if !s.leaving() {
		s.told.Wait()
	}
	if r, ok := c.Err.(*Refusal); ok {
		s.refusal.Store(r)
		s.stop(r)
	}
}

// stop ends the contexts that were given out.
func (s *session) stop(err error) {
	if !s.strange() {
		s.vigil.stop(err)
	}
	if cancel := s.cancel.Load(); cancel != nil {
		(*cancel)(err)
	}
}

// Closed is called exactly once, when the socket is closed.
func (s owner) Closed(rep wire.Report) {
	if s.rejected(rep) {
		return
	}
	s.told.Wait()
	s.free()
	e := CloseEvent{
		Conn: s.info, Code: websocket.StatusCode(rep.Code), Duration: time.Since(s.info.Since), Refusal: s.refusal.Load(),
		MessagesIn: rep.MessagesIn, MessagesOut: rep.MessagesOut, BytesIn: rep.BytesIn, BytesOut: rep.BytesOut,
	}
	switch rep.Initiator {
	case wire.Peer:
		e.Initiator = InitiatorPeer
	case wire.Server:
		e.Initiator = InitiatorServer
	default:
		e.Initiator = InitiatorNetwork
	}
	if e.Refusal == nil && rep.Cause != nil { // the end was faster than what told of it
		e.Refusal, _ = rep.Cause.Err.(*Refusal)
	}
	switch {
	case e.Refusal != nil:
		e.Reason = e.Refusal.Reason
	case rep.Cause != nil:
		e.Reason = rep.Cause.Reason
	}
	for _, o := range s.observers {
		_ = o.closed(context.Background(), e)
	}
	s.stop(websocket.CloseError{Code: e.Code, Reason: e.Reason})
}
