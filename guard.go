package wsguard

import (
	"fmt"
	"net/http"
)

// fact is something that a safeguard establishes for the ones inside it. No
// fact can be established twice in a chain.
type fact uint32

const (
	factClient fact = 1 << iota // the client's address behind proxies
	factOrigin
	factPrincipal
	factKeepAlive
	factIdle
	factLifetime
	factFirstMessage
	factMessageTime
	factWriteTime
	factMaxMessage
	factFrames
	factSchema
	factSanitizer
	factCloseCodes
	factKeepRefused
	factOutgoing
	factTracked
	factRevalidated
	factWarned
)

// providers names who establishes a fact, for messages to developers.
var providers = map[fact]string{
	factClient:    "TrustProxies",
	factOrigin:    "AllowOrigins",
	factPrincipal: "Authenticate",
}

// rule is what a safeguard is to the others around it.
type rule struct {
	name       string // as in the program: "LimitConns(PerUser)"
	provides   fact
	needs      fact // one that must have been established outside
	follows    fact // must not be established inside
	passive    bool // refuses nothing, so nothing is missed outside Observe
	observes   bool
	maxMessage int64 // MaxMessageSize
	byteBurst  int64 // LimitBytes

	messageBurst int           // LimitMessages
	typeSize     int64         // the greatest of the types of ValidateMessages
	cost         int           // the same
	replies      [][]byte      // what PolicyReply may send
	outgoing     *messageTable // OutgoingMessages
}

// conflict says what is wrong with inner inside outer, or "".
func conflict(outer, inner rule) string {
	if inner.observes && !outer.passive && !outer.observes {
		return fmt.Sprintf("Observe stands inside %s and would miss what it refuses: put Observe first", outer.name)
	}
	if both := outer.provides & inner.provides; both != 0 {
		return fmt.Sprintf("%s stands inside %s, but a chain takes only one of them: leave one out", inner.name, outer.name)
	}
	if early := (outer.needs | outer.follows) & inner.provides; early != 0 {
		return fmt.Sprintf("%s stands outside %s and would not see what it establishes: put %s before %s",
			outer.name, inner.name, inner.name, outer.name)
	}
	if size, burst := max(outer.maxMessage, inner.maxMessage), max(outer.byteBurst, inner.byteBurst); size > 0 && burst > 0 && burst < size {
		return fmt.Sprintf("LimitBytes has a burst of %d bytes, below the %d of MaxMessageSize, so that a message of that size never passes: raise the burst to %d",
			burst, size, size)
	}
	return typesConflict(outer, inner)
}

// A guard is a safeguard around a handler. That it is a type of its own lets
// the next safeguard outside see what it wraps.
type guard struct {
	rule
	next  http.Handler
	admit func(*session, *http.Request) *Refusal
}

// safeguard makes the func(http.Handler) http.Handler of a rule. admit may
// change the request's header and URL, which belong to the chain, and returns
// nil to let it pass.
func safeguard(r rule, admit func(*session, *http.Request) *Refusal) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if next == nil {
			panic(fmt.Sprintf("wsguard: %s: the handler is nil: write guard(wsguard.Handler(serve))", r.name))
		}
		for inner, ok := next.(*guard); ok; inner, ok = inner.next.(*guard) {
			if wrong := conflict(r, inner.rule); wrong != "" {
				panic("wsguard: " + wrong)
			}
		}
		return &guard{rule: r, next: next, admit: admit}
	}
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := sessionOf(r)
	if s == nil {
		s, w, r = newSession(w, r)
		defer s.leave()
	}
	if refusal := s.pass(g, r); refusal != nil {
		s.refuse(w, refusal)
		return
	}
	g.next.ServeHTTP(w, r)
}

// pass checks at request time what could not be seen when the chain was built,
// because a handler that is not ours stands between two safeguards.
func (s *session) pass(g *guard, r *http.Request) *Refusal {
	if s.built != g {
		s.apart = len(s.passed)
	}
	for _, outer := range s.passed[:s.apart] {
		if wrong := conflict(*outer, g.rule); wrong != "" {
			return refuse(g.name, "safeguard_order", fmt.Errorf("%s", wrong))
		}
	}
	if missing := g.needs &^ s.facts; missing != 0 {
		return refuse(g.name, "safeguard_missing",
			fmt.Errorf("%s needs %s, which has not seen this request: put it before, in the same chain", g.name, providers[missing]))
	}
	if !s.postpones(g) {
		if refusal := g.admit(s, r); refusal != nil {
			return refusal
		}
	}
	s.passed = append(s.passed, &g.rule)
	s.built, _ = g.next.(*guard)
	s.facts |= g.provides
	return nil
}

// Observe tells an observer of everything that happens to the requests and
// connections of the chain. Put it first: a safeguard outside would refuse
// unseen, and the chain panics. Several observers may be chained. (R54)
func Observe(o *Observer) func(http.Handler) http.Handler {
	if o == nil || o.endpoint == "" {
		panic(`wsguard: Observe: the observer was not made by NewObserver: write NewObserver("chat", slog.Default())`)
	}
	return safeguard(rule{name: "Observe", passive: true, observes: true}, func(s *session, _ *http.Request) *Refusal {
		s.observers = append(s.observers, o)
		s.watched = s.watched || o.hooks.Message != nil
		return nil
	})
}
