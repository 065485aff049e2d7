// Package jwks keeps the public keys of an issuer, fetched from its JWK set
// (RFC 7517), fresh enough to follow a rotation and durable enough to live
// through an outage (R17, R58).
package jwks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsguard/wsguard/internal/jose"
)

// ErrUnavailable says that it cannot be known whether a key is good, as the key
// set cannot be fetched or the caller cannot wait for it.
var ErrUnavailable = errors.New("key set unavailable")

// Bounds of a fetch.
const (
	fetchTimeout = 10 * time.Second // from the connection to the last byte
	maxBody      = 1 << 20          // bytes, after decompression
	maxHeader    = 64 << 10         // bytes of the response's header
	firstBackoff = time.Second      // after one failure; doubled with each more
)

// Config says where keys come from. Zero fields take their default.
type Config struct {
	// URL is where the set is: https, or http on a loopback address.
	URL string
	// Client makes the requests, for a private certificate authority or a
	// proxy. It is copied; its CheckRedirect is not used. Default: a client of
	// its own, which keeps no connection open.
	Client *http.Client
	// RefreshEvery is the age, give or take a tenth, at which the set is fetched
	// anew when it is next used. Default: 15 minutes.
	RefreshEvery time.Duration
	// MinInterval is the least time between two fetches, however many unknown
	// keys tokens name. Default: 30 seconds, or RefreshEvery if that is less.
	MinInterval time.Duration
	// MaxStale is the age at which the set is no longer used if it cannot be
	// fetched anew. Default: 24 hours, or RefreshEvery if that is more.
	MaxStale time.Duration
}

// Source is a key set at a URL. Its methods may be called from several
// goroutines. It has no goroutine of its own but while a fetch lasts, which is
// bounded, so that it need not be closed.
type Source struct {
	config  Config
	client  http.Client
	current atomic.Pointer[keySet] // the last good set, nil before the first

	// mu is never held during a fetch.
	mu        sync.Mutex
	last      *fetch // under way or finished, nil before the first
	running   bool   // last is under way
	failures  int    // fetches in a row that failed
	notBefore time.Time
}

// keySet is a set as it was fetched. It is immutable.
type keySet struct {
	keys    []jose.Key
	skipped int       // keys of no use
	due     time.Time // when to fetch anew
	expires time.Time // when to use it no longer
}

// fetch is one fetch, shared by all who wait for it. Its other fields may be
// read once done is closed.
type fetch struct {
	done chan struct{}
	set  *keySet
	err  error
}

// New returns a Source, or all that is wrong with the configuration. It fetches
// nothing: the first [Source.Keys] does.
func New(c Config) (*Source, error) {
	setDefault(&c.RefreshEvery, 15*time.Minute)
	setDefault(&c.MinInterval, min(30*time.Second, c.RefreshEvery))
	setDefault(&c.MaxStale, max(24*time.Hour, c.RefreshEvery))
	problems := []error{checkURL(c.URL)}
	if c.RefreshEvery < 0 || c.MinInterval < 0 || c.MinInterval > c.RefreshEvery || c.RefreshEvery > c.MaxStale {
		problems = append(problems, errors.New("RefreshEvery must be above zero and at most MaxStale"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return &Source{config: c, client: clientOf(c.Client)}, nil
}

// clientOf returns the client of a Config with what holds for each.
func clientOf(given *http.Client) (c http.Client) {
	if given != nil {
		c = *given
	} else {
		c.Transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: maxHeader,
		}
	}
	// A redirect could lead to where nobody configured (R17). It is answered as
	// every status but 200 is.
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// checkURL refuses what would fetch keys over a network that can change them, or
// put a password into errors.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "":
		return errors.New("the URL cannot be read: write https://host/path")
	case u.User != nil || u.Fragment != "":
		return errors.New("the URL must not have a user, password or fragment: write https://host/path")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return errors.New("the URL must begin with https://; http:// is for loopback addresses alone")
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// Keys returns the keys that may have signed a token whose header has kid and
// alg, as [jose.Select] does, and its errors.
//
// The first call fetches the set. A later one does so in the background once
// the set is due, and in the foreground if the set does not have the key, at
// most once in MinInterval. All calls share one fetch, and each waits no longer
// than its ctx lasts. A fetch that fails leaves the set as it is, and is tried
// again on use after a pause of 1 s that doubles up to MinInterval.
//
// Keys fails closed with [ErrUnavailable] where the set was never fetched or is
// older than MaxStale, where ctx ends first, and where a key is unknown and the
// last fetch failed.
func (s *Source) Keys(ctx context.Context, kid, alg string) ([]jose.Key, error) {
	now := time.Now()
	if set := s.current.Load(); set != nil && now.Before(set.expires) {
		if !now.Before(set.due) {
			s.fetch() // without waiting
		}
		keys, err := jose.Select(set.keys, kid, alg)
		if !errors.Is(err, jose.ErrKeyUnknown) {
			return keys, err
		}
	}
	f := s.fetch()
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
	}
	if f.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, f.err)
	}
	keys, err := jose.Select(f.set.keys, kid, alg)
	if err != nil {
		return nil, fmt.Errorf("%w (the set has %d keys, and %d of no use)", err, len(f.set.keys), f.set.skipped)
	}
	return keys, nil
}

// fetch returns the fetch under way, a new one, or, where it is too early for a
// new one, the last one.
func (s *Source) fetch() *fetch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running || time.Now().Before(s.notBefore) {
		return s.last
	}
	f := &fetch{done: make(chan struct{})}
	s.last, s.running = f, true
	// No caller's context: one that leaves must not end it for the others.
	go s.run(f)
	return f
}

func (s *Source) run(f *fetch) {
	f.set, f.err = s.get()
	s.mu.Lock()
	s.running = false
	pause := s.config.MinInterval
	if f.err == nil {
		s.failures = 0
		s.current.Store(f.set)
	} else {
		pause = min(pause, firstBackoff<<min(s.failures, 16))
		s.failures++
	}
	s.notBefore = time.Now().Add(pause)
	s.mu.Unlock()
	close(f.done)
}

// get fetches the set.
func (s *Source) get() (set *keySet, err error) {
	defer func() {
		// This goroutine is ours: nobody else could catch a panic of the Client.
		if v := recover(); v != nil {
			set, err = nil, fmt.Errorf("the HTTP client panicked: %v", v)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	body, err := get(ctx, &s.client, s.config.URL, "application/jwk-set+json, application/json")
	if err != nil {
		return nil, err
	}
	keys, skipped, err := jose.ParseJWKS(body)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &keySet{
		keys:    keys,
		skipped: skipped,
		due:     now.Add(jitter(s.config.RefreshEvery)),
		expires: now.Add(s.config.MaxStale),
	}, nil
}

// get fetches a document.
func get(ctx context.Context, client *http.Client, url, accept string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d in place of 200", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("longer than %d bytes", maxBody)
	}
	return body, nil
}

// jitter returns d give or take a tenth, so that the processes of a fleet that
// started together do not fetch together.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}
