package wsguard_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// R11: of 10,000 clients that show one ticket at once, over sockets of their own,
// one is connected, and the others are told nothing but that it is unknown.
func TestOneTicketForTenThousand(t *testing.T) {
	n := 10_000
	if testing.Short() {
		n = 500
	}
	tickets := wsguard.NewTickets(wsguard.NewMemoryTickets(10), ticketOptions())
	seen := make(chan string, n)
	o := wsguard.NewObserver("test", nil, wsguard.Hooks{HandshakeDone: func(_ context.Context, e wsguard.HandshakeEvent) { seen <- reasonOf(e.Refusal) }})
	url := newServer(t, wsguard.Chain(wsguard.Observe(o), wsguard.AllowOrigins(home),
		wsguard.Authenticate(tickets, wsguard.FromTicket(tickets, wsguard.FromQuery("ticket"))))(wsguard.Handler(echo)))
	// The clients are a process of their own: one may not have descriptors for both.
	clients := exec.Command(os.Args[0], "-test.run=^TestTicketClients$")
	clients.Env = append(os.Environ(), "WSGUARD_TEST_TICKETS="+url, "WSGUARD_TEST_N="+strconv.Itoa(n))
	clients.Stderr = os.Stderr
	in, err := clients.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := clients.StdoutPipe()
	if err == nil {
		err = clients.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = clients.Process.Kill(); _ = clients.Wait() }()
	lines := bufio.NewReader(out)
	say := func(want string) {
		t.Helper()
		if line, err := lines.ReadString('\n'); line != want {
			t.Fatalf("the clients said %q, %v, want %q", line, err, want)
		}
	}
	say("connected\n")
	// The ticket is made when all are ready, so that none of them is late.
	_, _ = fmt.Fprintln(in, ticketFor(t, tickets))
	say(fmt.Sprintf("1 of %d\n", n))
	got := map[string]int{}
	for range n {
		got[next(t, seen)]++
	}
	if len(got) != 2 || got[""] != 1 || got["ticket_unknown"] != n-1 {
		t.Errorf("refused as %v", got)
	}
	_ = in.Close()
}

// TestTicketClients is the clients of TestOneTicketForTenThousand.
func TestTicketClients(t *testing.T) {
	url := os.Getenv("WSGUARD_TEST_TICKETS")
	if url == "" {
		return
	}
	n, _ := strconv.Atoi(os.Getenv("WSGUARD_TEST_N"))
	conns := make([]net.Conn, n)
	for i := range conns {
		var err error
		if conns[i], err = net.Dial("tcp", strings.TrimPrefix(url, "http://")); err != nil {
			t.Fatal(i, err)
		}
	}
	fmt.Println("connected")
	stdin := bufio.NewReader(os.Stdin)
	line, _ := stdin.ReadString('\n')
	ticket := strings.TrimSuffix(line, "\n")
	var mu sync.Mutex
	connected := 0
	start := make(chan struct{})
	var wg sync.WaitGroup
	for _, nc := range conns {
		wg.Go(func() {
			<-start
			p, err := knockOn(nc, "GET /?ticket="+ticket+" HTTP/1.1", "Origin: "+home)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				t.Error(err)
			case p.resp.StatusCode == http.StatusSwitchingProtocols:
				connected++
			case p.resp.StatusCode != http.StatusUnauthorized:
				t.Error(p.resp.Status)
			}
		})
	}
	close(start)
	wg.Wait()
	fmt.Printf("%d of %d\n", connected, n)
	_, _ = stdin.ReadString('\n') // until the other process has counted too
}

var propertySeed = flag.Uint64("seed", 0, "seed of the property tests; 0 is another one each time")

// Whatever becomes of handshakes and connections, in whatever order, no ticket
// is spent twice, and in the end no slot, ticket or entry of the registry is
// taken. (R11, R31, R57, R58, R60)
func TestTicketsAndSlotsProperty(t *testing.T) {
	seed := *propertySeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-seed=%d", seed)
	synctest.Test(t, func(t *testing.T) {
		w := newTicketWorld(t)
		var actors sync.WaitGroup
		for i := range uint64(8) {
			r := rand.New(rand.NewPCG(seed, i))
			actors.Go(func() {
				for range 40 {
					w.step(r)
				}
			})
		}
		actors.Wait()
		pass(time.Hour)
		w.wantNothing()
	})
}

const (
	worldTickets = 12
	worldPerIP   = 5
	worldPerUser = 2
)

var worldUsers = []string{"ada", "bob", "eve"}

// A ticketWorld is an endpoint with tickets and slots, and a count of what became
// of them.
type ticketWorld struct {
	*memoryServer
	tickets  *wsguard.Tickets
	perIP    func(http.Handler) http.Handler
	perUser  func(http.Handler) http.Handler
	registry wsguard.Registry
	mu       sync.Mutex
	outcomes map[string]int
}

func newTicketWorld(t *testing.T) *ticketWorld {
	w := &ticketWorld{
		tickets:  wsguard.NewTickets(wsguard.NewMemoryTickets(worldTickets), ticketOptions()),
		perIP:    wsguard.LimitConns(worldPerIP, wsguard.PerIP),
		perUser:  wsguard.LimitConns(worldPerUser, wsguard.PerUser),
		outcomes: map[string]int{},
	}
	o := wsguard.NewObserver("test", nil, wsguard.Hooks{
		HandshakeDone: func(_ context.Context, e wsguard.HandshakeEvent) { w.note("handshake " + reasonOf(e.Refusal)) },
		ConnClosed:    func(_ context.Context, e wsguard.CloseEvent) { w.note(fmt.Sprintf("close %d", e.Code)) },
	})
	troubled := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			switch r.Header.Get("X-Do") {
			case "panic":
				panic(http.ErrAbortHandler)
			case "refuse":
				rw.WriteHeader(http.StatusTeapot)
			default:
				next.ServeHTTP(rw, r)
			}
		})
	}
	h := wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		_, data, err := c.Read(ctx)
		switch string(data) {
		case "panic":
			panic("boom")
		case "fail":
			return errors.New("boom")
		case "close":
			return c.Close(websocket.StatusNormalClosure, "")
		case "disconnect":
			w.registry.Disconnect(wsguard.AllConns(), 4001, "")
		}
		if err == nil {
			_, _, err = c.Read(ctx) // until the token expires
		}
		return err
	})
	w.memoryServer = newMemoryServer(t, wsguard.Chain(wsguard.Observe(o), w.perIP, wsguard.AllowOrigins(home, elsewhere),
		wsguard.Authenticate(w.tickets, wsguard.FromTicket(w.tickets, wsguard.FromQuery("ticket"))),
		w.perUser, w.registry.Track(), troubled)(h))
	return w
}

func (w *ticketWorld) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.outcomes[what]++
}

// step asks for a ticket, and spends it a few times at once, some time later.
func (w *ticketWorld) step(r *rand.Rand) {
	pass(time.Duration(r.IntN(5000)) * time.Millisecond)
	p := userOf(issuer, worldUsers[r.IntN(len(worldUsers))])
	p.Expires = time.Now().Add(time.Duration(1+r.IntN(90)) * time.Second)
	resp := ask(w.tickets.Issue(func(*http.Request) (wsguard.Principal, error) { return p, nil }))
	var text string
	if _, err := fmt.Sscanf(resp.Body.String(), `{"ticket":%q}`, &text); err != nil {
		w.note(fmt.Sprintf("no ticket %d", resp.Code))
		return
	}
	pass([]time.Duration{0, 0, 0, time.Second, 29 * time.Second, 31 * time.Second}[r.IntN(6)])
	var spenders sync.WaitGroup
	var mu sync.Mutex
	in := 0
	for range r.IntN(4) {
		lines := []string{"GET /?ticket=" + text + " HTTP/1.1", "Origin: " + home}
		switch r.IntN(8) {
		case 0:
			lines[1] = "Origin: " + elsewhere
		case 1:
			lines[0] = "GET /other?ticket=" + text + " HTTP/1.1"
		case 2:
			lines = append(lines, "X-Do: panic")
		case 3:
			lines = append(lines, "X-Do: refuse")
		case 4:
			lines = append(lines, "Sec-WebSocket-Version: 12")
		}
		end := []string{"panic", "fail", "close", "disconnect", "drop", "leave", "wait"}[r.IntN(7)]
		after := time.Duration(r.IntN(20)) * time.Second
		spenders.Go(func() {
			p, err := knockOn(w.pipe(), lines...)
			if err != nil {
				return // a panic in the chain
			}
			defer p.Close()
			if p.resp.StatusCode != http.StatusSwitchingProtocols {
				return
			}
			mu.Lock()
			in++
			mu.Unlock()
			w.live(p, end, after)
		})
	}
	spenders.Wait()
	if in > 1 {
		w.t.Errorf("a ticket was spent %d times", in)
	}
}

// live is a connection that ends in one of the ways.
func (w *ticketWorld) live(p *peer, end string, after time.Duration) {
	_ = p.SetDeadline(time.Time{})
	read := make(chan struct{})
	go func() { // a pipe has no buffer
		defer close(read)
		_, _ = io.Copy(io.Discard, p.br)
	}()
	pass(after)
	switch end {
	case "drop":
		_ = p.Close()
	case "leave":
		_, _ = p.Write(closeFrame(1000, ""))
	case "wait":
	default:
		_, _ = p.Write(textFrame(end))
	}
	<-read
}

// wantNothing checks that everything is free again, and that everything that
// can happen has happened.
func (w *ticketWorld) wantNothing() {
	w.t.Helper()
	if n := freeSlots(w.perIP, requestFrom("192.0.2.1:1")); n != worldPerIP {
		w.t.Errorf("%d slots of the address are free, want %d", n, worldPerIP)
	}
	if n := len(w.registry.Connections(wsguard.AllConns())); n != 0 {
		w.t.Errorf("%d connections are in the registry", n)
	}
	users := fixedTokens{}
	for _, user := range worldUsers {
		users[user] = userOf(issuer, user)
		guard := wsguard.Chain(wsguard.Authenticate(users, wsguard.FromHeader("X-Token")), w.perUser)
		n := freeSlots(guard, func() *http.Request {
			r := requestFrom(away)()
			r.Header.Set("X-Token", user)
			return r
		})
		if n != worldPerUser {
			w.t.Errorf("%d slots of %s are free, want %d", n, user, worldPerUser)
		}
	}
	free := 0
	for ask(w.tickets.Issue(asAda)).Code == http.StatusOK {
		free++
	}
	if free != worldTickets {
		w.t.Errorf("there is room for %d tickets, want %d", free, worldTickets)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.t.Logf("%v", w.outcomes)
	closed, opened := 0, w.outcomes["handshake "]
	for what, n := range w.outcomes {
		if strings.HasPrefix(what, "close ") {
			closed += n
		}
	}
	if closed != opened || opened == 0 {
		w.t.Errorf("%d connections were opened and %d closed", opened, closed)
	}
}
