package clientip_test

import (
	"fmt"
	"net/http"
	"net/netip"

	"github.com/wsguard/wsguard/internal/clientip"
)

// The left entry was written by the client, the right one by the proxy.
func ExampleNew() {
	r, err := clientip.New(clientip.Config{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	if err != nil {
		fmt.Println(err)
		return
	}
	h := http.Header{"X-Forwarded-For": {"127.0.0.1, 203.0.113.7"}}
	c, err := r.Resolve("10.0.0.1:443", h)
	fmt.Println(c.Addr, c.Source, err)
	fmt.Println(r.Explain("10.0.0.1:443", h))
	// Output:
	// 203.0.113.7 x-forwarded-for <nil>
	// header X-Forwarded-For: 1 lines
	// peer "10.0.0.1:443": trusted: the header is read, from the right
	// entry "203.0.113.7": not trusted, or the one address stated: it is the client, and nothing further left is read
	// client: 203.0.113.7, source x-forwarded-for
}
