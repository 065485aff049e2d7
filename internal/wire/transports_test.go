package wire

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// outer bounds every wait on a socket. Nothing waits as long if it is right.
const outer = 2 * time.Minute

// A transport makes two ends that are connected, the near one for a Conn. What
// makes the far one reset is at hand, so that no port is left behind.
type transport struct {
	name string
	raw  bool // the Conn reads and writes it by calls of the system
	pair func(testing.TB) (near, far net.Conn)
}

var transports = []transport{
	{"pipe", false, pipePair},
	{"TCP", systemKnowsSockets, tcpPair},
	{"unix", systemKnowsSockets, unixPair},
	{"TLS", false, tlsPair},
	{"wrapped TCP", false, wrappedPair},
}

// systemKnowsSockets says where raw_unix.go is built.
var systemKnowsSockets = !slices.Contains([]string{"windows", "plan9", "js", "wasip1"}, runtime.GOOS)

// eachTransport runs a test on each, with a Conn on the near end. They wait
// more than they do anything, and so do it at the same time.
func eachTransport(t *testing.T, limits Limits, test func(t *testing.T, c *Conn, far net.Conn, closed <-chan Report)) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			c, far, closed := tr.open(t, Config{Limits: &limits})
			test(t, c, far, closed)
		})
	}
}

// open makes a pair and puts a Conn on it, which ends with the test.
func (tr transport) open(t testing.TB, cfg Config) (*Conn, net.Conn, <-chan Report) {
	t.Helper()
	near, far := tr.pair(t)
	closed := make(chan Report, 1)
	if cfg.Owner == nil {
		cfg.Owner = closing(closed)
	}
	c := newResponded(near, cfg)
	if (c.raw != nil) != tr.raw {
		t.Fatalf("the calls of the system are used: %v, want %v", c.raw != nil, tr.raw)
	}
	_ = far.SetDeadline(time.Now().Add(outer))
	t.Cleanup(func() {
		_ = far.Close()
		c.Kill()
		<-c.Done()
	})
	return c, far, closed
}

func pipePair(testing.TB) (near, far net.Conn) { return net.Pipe() }

func tcpPair(t testing.TB) (near, far net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	near, far = accepted(t, l)
	_ = far.(*net.TCPConn).SetLinger(0) // or thousands of pairs use up the ports
	return near, far
}

func unixPair(t testing.TB) (near, far net.Conn) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Skipf("no unix sockets here: %v", err)
	}
	return accepted(t, l)
}

func accepted(t testing.TB, l net.Listener) (near, far net.Conn) {
	t.Helper()
	defer l.Close()
	far, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if near, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return near, far
}

// wrappedPair is a socket that does not look like one, as behind a listener
// that counts.
func wrappedPair(t testing.TB) (near, far net.Conn) {
	near, far = tcpPair(t)
	return struct{ net.Conn }{near}, far
}

func tlsPair(t testing.TB) (near, far net.Conn) {
	t.Helper()
	a, b := tcpPair(t)
	server := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{certificate()}})
	client := tls.Client(b, &tls.Config{InsecureSkipVerify: true})
	shaken := make(chan error, 1)
	go func() { shaken <- client.Handshake() }()
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	return server, client
}

// certificate signs itself.
var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})
