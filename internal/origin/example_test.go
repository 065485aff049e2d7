package origin_test

import (
	"fmt"

	"github.com/wsguard/wsguard/internal/origin"
)

func ExampleNewSet() {
	set, err := origin.NewSet([]string{"https://app.example.com", "https://*.example.org"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, header := range []string{"https://app.example.com", "https://a.b.example.org", "https://example.org", "null"} {
		o, err := origin.Parse(header)
		fmt.Println(header, err == nil && set.Contains(o))
	}
	// Output:
	// https://app.example.com true
	// https://a.b.example.org true
	// https://example.org false
	// null false
}

// All mistakes are reported at once, each with what to write instead.
func ExampleNewSet_mistakes() {
	_, err := origin.NewSet([]string{"app.example.com", "https://app.example.com/", "https://*example.com", "*"})
	fmt.Println(err)
	// Output:
	// pattern "app.example.com": malformed scheme, or none; write "https://app.example.com"
	// pattern "https://app.example.com/": a path, query or fragment, if only a slash; write "https://app.example.com"
	// pattern "https://*example.com": a wildcard that is not the whole first label with two or more labels after it; write "https://*.example.com"
	// pattern "*": everybody would be allowed; write one as in "https://app.example.com"
}

func ExampleNewHostSet() {
	set, err := origin.NewHostSet([]string{"ws.example.com", "localhost:8080"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, header := range []string{"ws.example.com", "ws.example.com:443", "localhost", "localhost:8080", "rebound.test"} {
		fmt.Println(header, set.Contains(header))
	}
	// Output:
	// ws.example.com true
	// ws.example.com:443 true
	// localhost false
	// localhost:8080 true
	// rebound.test false
}
