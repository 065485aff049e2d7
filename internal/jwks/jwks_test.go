package jwks_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wsguard/wsguard/internal/jose"
	"github.com/wsguard/wsguard/internal/jose/josetest"
	"github.com/wsguard/wsguard/internal/jwks"
)

// R17
func TestNew(t *testing.T) {
	rows := []struct {
		name   string
		config jwks.Config
		want   string // a part of the error, "" where the configuration is good
	}{
		{"https", jwks.Config{URL: "https://id.example/keys"}, ""},
		{"https with port and query", jwks.Config{URL: "https://id.example:8443/keys?p=1"}, ""},
		{"localhost", jwks.Config{URL: "http://localhost:8080/keys"}, ""},
		{"loopback", jwks.Config{URL: "http://127.0.0.9/keys"}, ""},
		{"loopback of IPv6", jwks.Config{URL: "http://[::1]:80/keys"}, ""},
		{"all times", jwks.Config{URL: "https://id.example", RefreshEvery: time.Hour, MinInterval: time.Minute, MaxStale: 2 * time.Hour}, ""},
		{"short refresh", jwks.Config{URL: "https://id.example", RefreshEvery: time.Second}, ""},
		{"long refresh", jwks.Config{URL: "https://id.example", RefreshEvery: 48 * time.Hour}, ""},

		{"absent", jwks.Config{}, "cannot be read"},
		{"http", jwks.Config{URL: "http://id.example/keys"}, "https://"},
		{"http to a name that begins like one", jwks.Config{URL: "http://localhost.example/keys"}, "https://"},
		{"http to an address that begins like one", jwks.Config{URL: "http://127.0.0.1.example/keys"}, "https://"},
		{"http to a private address", jwks.Config{URL: "http://10.0.0.1/keys"}, "https://"},
		{"file", jwks.Config{URL: "file:///etc/keys"}, "cannot be read"},
		{"ftp", jwks.Config{URL: "ftp://id.example/keys"}, "https://"},
		{"path", jwks.Config{URL: "/keys"}, "cannot be read"},
		{"no scheme", jwks.Config{URL: "id.example/keys"}, "cannot be read"},
		{"control character", jwks.Config{URL: "https://id.example/\n"}, "cannot be read"},
		{"password", jwks.Config{URL: "https://u:p@id.example/"}, "password"},
		{"fragment", jwks.Config{URL: "https://id.example/#k"}, "fragment"},
		{"negative refresh", jwks.Config{URL: "https://id.example", RefreshEvery: -1}, "RefreshEvery"},
		{"negative stale", jwks.Config{URL: "https://id.example", MaxStale: -1}, "MaxStale"},
		{"stale before refresh", jwks.Config{URL: "https://id.example", MaxStale: time.Minute}, "MaxStale"},
		{"negative interval", jwks.Config{URL: "https://id.example", MinInterval: -1}, "RefreshEvery"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			source, err := jwks.New(row.config)
			if (err == nil) != (row.want == "") || (source == nil) != (err != nil) {
				t.Fatalf("got %v, want %q", err, row.want)
			}
			if err != nil && !strings.Contains(err.Error(), row.want) {
				t.Errorf("error %q lacks %q", err, row.want)
			}
		})
	}
	_, err := jwks.New(jwks.Config{URL: "x", RefreshEvery: -1})
	if joined, ok := err.(interface{ Unwrap() []error }); !ok || len(joined.Unwrap()) != 2 {
		t.Errorf("not every problem at once: %v", err)
	}
}

func TestFirstUseIsShared(t *testing.T) {
	inBubble(t, jwks.Config{}, func(t *testing.T, i *issuer, s *jwks.Source) {
		wantHits(t, i, 0)
		release := make(chan struct{})
		i.does(func(w http.ResponseWriter, _ *http.Request) {
			<-release
			_, _ = io.WriteString(w, setOf("a"))
		})
		var callers sync.WaitGroup
		for range 50 {
			callers.Go(func() { want(t, s, "a", nil) })
		}
		wantHits(t, i, 1)
		close(release)
		callers.Wait()
		want(t, s, "a", nil)
		wantHits(t, i, 1)
	})
}

// R17
func TestRotation(t *testing.T) {
	inBubble(t, jwks.Config{}, func(t *testing.T, i *issuer, s *jwks.Source) {
		want(t, s, "a", nil)
		i.serves(http.StatusOK, setOf("b"))
		want(t, s, "b", jose.ErrKeyUnknown) // too early for another fetch
		wantHits(t, i, 1)
		<-time.After(30 * time.Second)
		want(t, s, "b", nil)
		want(t, s, "a", jose.ErrKeyUnknown) // withdrawn
		wantHits(t, i, 2)
	})
}

// A key that is there but does not suit is no reason to ask again.
func TestUnsuitableKey(t *testing.T) {
	inBubble(t, jwks.Config{}, func(t *testing.T, i *issuer, s *jwks.Source) {
		want(t, s, "a", nil)
		<-time.After(time.Minute)
		if _, err := s.Keys(t.Context(), "a", "RS256"); !errors.Is(err, jose.ErrAlgorithm) {
			t.Error(err)
		}
		wantHits(t, i, 1)
	})
}

func TestRefreshInTheBackground(t *testing.T) {
	inBubble(t, jwks.Config{}, func(t *testing.T, i *issuer, s *jwks.Source) {
		want(t, s, "a", nil)
		<-time.After(13*time.Minute + 29*time.Second)
		want(t, s, "a", nil)
		wantHits(t, i, 1) // not yet due, whatever the jitter
		i.does(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		<-time.After(3*time.Minute + 2*time.Second)
		wantHits(t, i, 1) // due, but nobody asked
		start := time.Now()
		want(t, s, "a", nil)
		if waited := time.Since(start); waited != 0 {
			t.Errorf("waited %v for a refresh", waited)
		}
		wantHits(t, i, 2)
		<-time.After(10 * time.Second) // the fetch times out
		i.serves(http.StatusOK, setOf("a", "b"))
		<-time.After(time.Second)
		want(t, s, "a", nil)
		wantHits(t, i, 3)
		want(t, s, "b", nil)
		wantHits(t, i, 3)
	})
}

// R58
func TestOutage(t *testing.T) {
	inBubble(t, jwks.Config{}, func(t *testing.T, i *issuer, s *jwks.Source) {
		want(t, s, "a", nil)
		i.serves(http.StatusInternalServerError, setOf("a"))
		for range 24*60 - 1 {
			<-time.After(time.Minute)
			want(t, s, "a", nil)
		}
		if hits := i.hits.Load(); hits < 24*60-20 || hits > 24*60 {
			t.Errorf("%d requests in a day with one use a minute", hits)
		}
		want(t, s, "b", jwks.ErrUnavailable) // may be new, and cannot be known
		<-time.After(time.Minute)
		want(t, s, "a", jwks.ErrUnavailable) // too old
		i.serves(http.StatusOK, setOf("a"))
		want(t, s, "a", jwks.ErrUnavailable) // too early for another fetch
		<-time.After(30 * time.Second)
		want(t, s, "a", nil)
		<-time.After(time.Minute)
		want(t, s, "b", jose.ErrKeyUnknown)
	})
}

// A set that nobody used for longer than MaxStale is fetched before it is used.
func TestStaleAfterAPause(t *testing.T) {
	inBubble(t, jwks.Config{MaxStale: time.Hour}, func(t *testing.T, i *issuer, s *jwks.Source) {
		want(t, s, "a", nil)
		i.serves(http.StatusOK, setOf("b"))
		<-time.After(time.Hour)
		want(t, s, "a", jose.ErrKeyUnknown)
		want(t, s, "b", nil)
		wantHits(t, i, 2)
	})
}

// R58
func TestFirstFetchIsTriedAgain(t *testing.T) {
	inBubble(t, jwks.Config{}, func(t *testing.T, i *issuer, s *jwks.Source) {
		i.serves(http.StatusServiceUnavailable, "")
		hits := int32(0)
		for _, pause := range []int{1, 2, 4, 8, 16, 30, 30} {
			hits++
			want(t, s, "a", jwks.ErrUnavailable)
			wantHits(t, i, hits)
			<-time.After(time.Duration(pause)*time.Second - time.Nanosecond)
			want(t, s, "a", jwks.ErrUnavailable)
			wantHits(t, i, hits)
			<-time.After(time.Nanosecond)
		}
		i.serves(http.StatusOK, setOf("a"))
		want(t, s, "a", nil)
		i.serves(http.StatusServiceUnavailable, "")
		<-time.After(time.Hour)
		want(t, s, "a", nil)
		wantHits(t, i, hits+2)
		<-time.After(time.Second) // one failure in a row again
		want(t, s, "a", nil)
		wantHits(t, i, hits+3)
	})
}

// R17: who names keys that do not exist does not make requests.
func TestUnknownKeyFlood(t *testing.T) {
	inBubble(t, jwks.Config{RefreshEvery: time.Hour}, func(t *testing.T, i *issuer, s *jwks.Source) {
		for n := range 10_000 {
			want(t, s, "x"+strconv.Itoa(n), jose.ErrKeyUnknown)
			<-time.After(30 * time.Millisecond)
		}
		wantHits(t, i, 10) // 300 s
	})
	inBubble(t, jwks.Config{}, func(t *testing.T, i *issuer, s *jwks.Source) {
		var callers sync.WaitGroup
		for n := range 1000 {
			callers.Go(func() { want(t, s, "x"+strconv.Itoa(n), jose.ErrKeyUnknown) })
		}
		callers.Wait()
		wantHits(t, i, 1)
	})
}

func TestHungIssuer(t *testing.T) {
	inBubble(t, jwks.Config{}, func(t *testing.T, i *issuer, s *jwks.Source) {
		i.does(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		start := time.Now()
		var callers sync.WaitGroup
		for n := range 10 {
			callers.Go(func() {
				patience := time.Duration(n) * time.Second / 2
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				_, err := s.Keys(ctx, "a", "ES256")
				if !errors.Is(err, jwks.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != patience {
					t.Errorf("after %v of %v: %v", time.Since(start), patience, err)
				}
			})
		}
		want(t, s, "a", jwks.ErrUnavailable)
		if waited := time.Since(start); waited != 10*time.Second {
			t.Errorf("the fetch lasted %v", waited)
		}
		callers.Wait()
		wantHits(t, i, 1)
	})
}

// A body that trickles is bounded in time, as the header is.
func TestTricklingBody(t *testing.T) {
	inBubble(t, jwks.Config{}, func(t *testing.T, i *issuer, s *jwks.Source) {
		i.does(func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
				<-time.After(time.Second)
			}
		})
		start := time.Now()
		want(t, s, "a", jwks.ErrUnavailable)
		if waited := time.Since(start); waited != 10*time.Second {
			t.Errorf("the fetch lasted %v", waited)
		}
		<-time.After(2 * time.Second) // the handler sees the end
	})
}

// A caller that leaves does not end the fetch for the others.
func TestCallerLeaves(t *testing.T) {
	inBubble(t, jwks.Config{}, func(t *testing.T, i *issuer, s *jwks.Source) {
		i.does(func(w http.ResponseWriter, _ *http.Request) {
			<-time.After(2 * time.Second)
			_, _ = io.WriteString(w, setOf("a"))
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Keys(ctx, "a", "ES256"); !errors.Is(err, jwks.ErrUnavailable) {
			t.Error(err)
		}
		want(t, s, "a", nil)
		wantHits(t, i, 1)
	})
}

func TestBadAnswers(t *testing.T) {
	rows := []struct {
		name   string
		handle http.HandlerFunc
	}{
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/moved" {
				_, _ = io.WriteString(w, setOf("b"))
				return
			}
			http.Redirect(w, r, "/moved", http.StatusFound)
		}},
		{"not found", http.NotFound},
		{"no content", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }},
		{"created", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, setOf("b"))
		}},
		{"endless body", func(w http.ResponseWriter, _ *http.Request) {
			spaces := []byte(strings.Repeat(" ", 32<<10))
			for {
				if _, err := w.Write(spaces); err != nil {
					return
				}
			}
		}},
		{"one byte too long", func(w http.ResponseWriter, _ *http.Request) {
			set := setOf("b")
			_, _ = io.WriteString(w, set+strings.Repeat(" ", 1<<20+1-len(set)))
		}},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10000")
			_, _ = io.WriteString(w, setOf("b"))
		}},
		{"connection dropped", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		{"empty body", func(http.ResponseWriter, *http.Request) {}},
		{"HTML", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<!DOCTYPE html>") }},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			inBubble(t, jwks.Config{}, func(t *testing.T, i *issuer, s *jwks.Source) {
				want(t, s, "a", nil)
				i.does(row.handle)
				for range 20 {
					<-time.After(time.Minute)
					want(t, s, "b", jwks.ErrUnavailable)
					want(t, s, "a", nil) // the last good set
				}
				wantHits(t, i, 21)
			})
		})
	}
}

// R17
func TestOtherKeysOfTheSet(t *testing.T) {
	inBubble(t, jwks.Config{}, func(t *testing.T, i *issuer, s *jwks.Source) {
		i.serves(http.StatusOK, josetest.Set(`{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}`,
			josetest.JWK(josetest.P256(), "kid", "a"), josetest.JWK(josetest.Secret(), "kid", "s")))
		want(t, s, "a", nil)
		if _, err := s.Keys(t.Context(), "s", "HS256"); !errors.Is(err, jose.ErrKeyUnknown) || !strings.Contains(err.Error(), "1 keys, and 2 of no use") {
			t.Error(err)
		}
	})
}

// An issuer that withdraws every key is believed.
func TestWithdrawnKeys(t *testing.T) {
	inBubble(t, jwks.Config{}, func(t *testing.T, i *issuer, s *jwks.Source) {
		want(t, s, "a", nil)
		i.serves(http.StatusOK, `{"keys":[]}`)
		<-time.After(time.Hour)
		want(t, s, "b", jose.ErrKeyUnknown)
		want(t, s, "a", jose.ErrKeyUnknown)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// R59
func TestClientPanics(t *testing.T) {
	source, err := jwks.New(jwks.Config{URL: "https://id.example", Client: &http.Client{
		Transport: roundTripper(func(*http.Request) (*http.Response, error) { panic("boom") }),
	}})
	if err != nil {
		t.Fatal(err)
	}
	want(t, source, "a", jwks.ErrUnavailable)
}

// The client of the source's own, over a real connection.
func TestOwnClient(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/keys" || r.Method != http.MethodGet || !r.Close || !strings.Contains(r.Header.Get("Accept"), "json") {
			t.Errorf("%s %s, close %t, Accept %q", r.Method, r.URL, r.Close, r.Header.Get("Accept"))
		}
		_, _ = io.WriteString(w, setOf("a"))
	}))
	defer server.Close()
	source, err := jwks.New(jwks.Config{URL: server.URL + "/keys"})
	if err != nil {
		t.Fatal(err)
	}
	want(t, source, "a", nil)
}

func TestPrivateAuthority(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, setOf("a"))
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	client := server.Client()
	for _, row := range []struct {
		client *http.Client
		want   error
	}{{client, nil}, {nil, jwks.ErrUnavailable}} {
		source, err := jwks.New(jwks.Config{URL: server.URL, Client: row.client})
		if err != nil {
			t.Fatal(err)
		}
		want(t, source, "a", row.want)
	}
	if client.CheckRedirect != nil {
		t.Error("the caller's client was changed")
	}
}

// found is a set of three keys, and what a look at it may allocate, for a key
// that is there and for one that nobody has.
func found(tb testing.TB) (source *jwks.Source, most map[string]float64) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, setOf("a", "b", "c"))
	}))
	tb.Cleanup(server.Close)
	source, err := jwks.New(jwks.Config{URL: server.URL})
	if err != nil {
		tb.Fatal(err)
	}
	_, _ = source.Keys(tb.Context(), "a", "ES256") // it is fetched now
	return source, map[string]float64{"c": 1, "unknown": 3}
}

func TestKeysAllocates(t *testing.T) {
	source, most := found(t)
	for kid, most := range most {
		_, _ = source.Keys(t.Context(), kid, "ES256") // asks once more for a key that is not there
		if n := testing.AllocsPerRun(100, func() { _, _ = source.Keys(t.Context(), kid, "ES256") }); n > most {
			t.Errorf("%s: %v allocations, want at most %v", kid, n, most)
		}
	}
}

func BenchmarkKeys(b *testing.B) {
	source, most := found(b)
	for kid := range most {
		b.Run(kid, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = source.Keys(b.Context(), kid, "ES256")
			}
		})
	}
}
