package wsguard

import (
	"fmt"
	"net/http"

	"github.com/wsguard/wsguard/internal/origin"
)

// AllowOrigins admits a handshake only if its Origin header (RFC 6454) is one
// of those given. It is what stops cross-site WebSocket hijacking: a browser
// sends cookies with a WebSocket handshake from any page, no preflight asks
// first, and only the Origin tells where the page came from. (R05, R06)
//
// An origin is scheme, host and, where it is not the scheme's own, port:
//
//	permitted                        prohibited
//	https://app.example.com          app.example.com         (no scheme)
//	https://app.example.com:8443     https://app.example.com/ (a path)
//	http://[::1]:3000                https://user@example.com
//	chrome-extension://abc           null
//	https://xn--bcher-kva.example    https://bücher.example  (write the A-label)
//	https://*.example.com            https://*example.com, https://a.*.com, *
//
// A leading "*." stands for any subdomain, at any depth (a.example.com and
// a.b.example.com), and not for example.com itself. It trusts whoever can get a
// name below it. Everything else is compared exactly: scheme, host and port,
// after lower case and default ports.
//
// Refused with 403 are a missing Origin (origin_missing), more than one
// (origin_duplicated), null and whatever a browser does not write
// (origin_malformed), and all others (origin_not_allowed). That the Host header
// names the same host proves nothing: a page that had its own name resolve to
// this server (DNS rebinding) sends both. For the same reason, and because it
// lets every GET pass, as which an upgrade comes, net/http's
// CrossOriginProtection does not protect a WebSocket endpoint.
//
// Clients that are not browsers can send any Origin: it is no authentication.
// (R07) Where such clients send none, use [CheckOrigins].
//
// AllowOrigins panics on a malformed origin. For origins from a file or a flag
// use [ParseOrigins].
func AllowOrigins(origins ...string) func(http.Handler) http.Handler {
	set, err := origin.NewSet(origins)
	if err != nil {
		panic(fmt.Sprintf("wsguard: AllowOrigins: %v", err))
	}
	return checkOrigins("AllowOrigins", set, false)
}

// Origins is a list of allowed origins that was checked. The zero Origins
// allows none.
type Origins struct{ set *origin.Set }

// ParseOrigins checks origins as AllowOrigins describes them. The error names
// every one that is wrong, and what to write instead.
func ParseOrigins(origins ...string) (Origins, error) {
	set, err := origin.NewSet(origins)
	if err != nil {
		return Origins{}, fmt.Errorf("wsguard: ParseOrigins: %w", err)
	}
	return Origins{set}, nil
}

// An OriginConfig is [AllowOrigins] with what it leaves out.
type OriginConfig struct {
	// Allow are the allowed origins. Required.
	Allow Origins

	// InsecureAllowMissing admits a handshake without an Origin header, for
	// endpoints that serve clients other than browsers. What is lost: such a
	// client no longer has to know an allowed origin, and a very old or
	// embedded browser that sends none is not stopped. Do not combine it with
	// a token from a cookie.
	InsecureAllowMissing bool
}

// CheckOrigins is [AllowOrigins] for origins from [ParseOrigins], and for
// endpoints that also serve clients other than browsers.
func CheckOrigins(config OriginConfig) func(http.Handler) http.Handler {
	if config.Allow.set == nil {
		panic("wsguard: CheckOrigins: OriginConfig.Allow is empty, so nobody could connect: set it to what ParseOrigins returned")
	}
	return checkOrigins("CheckOrigins", config.Allow.set, config.InsecureAllowMissing)
}

func checkOrigins(name string, set *origin.Set, allowMissing bool) func(http.Handler) http.Handler {
	return safeguard(rule{name: name, provides: factOrigin}, func(_ *session, r *http.Request) *Refusal {
		return judgeOrigin(name, set, allowMissing, r)
	})
}

func judgeOrigin(name string, set *origin.Set, allowMissing bool, r *http.Request) *Refusal {
	values := r.Header["Origin"]
	switch {
	case len(values) == 0 && allowMissing:
		return nil
	case len(values) == 0:
		return refuse(name, "origin_missing", nil)
	case len(values) > 1:
		return refuse(name, "origin_duplicated", nil)
	}
	o, err := origin.Parse(values[0])
	if err != nil {
		return refuse(name, "origin_malformed", err)
	}
	if !set.Contains(o) {
		return refuse(name, "origin_not_allowed", nil)
	}
	return nil
}

// AllowHosts admits a request only if its Host header (RFC 9110, section 7.2)
// names this service, and answers 421 (host_not_allowed) otherwise. It stops
// DNS rebinding also for clients that send no Origin. A host without a port
// stands for the default ports; "*.example.com" is as in AllowOrigins. It
// panics on a malformed host.
func AllowHosts(hosts ...string) func(http.Handler) http.Handler {
	const name = "AllowHosts"
	set, err := origin.NewHostSet(hosts)
	if err != nil {
		panic(fmt.Sprintf("wsguard: %s: %v", name, err))
	}
	return safeguard(rule{name: name}, func(_ *session, r *http.Request) *Refusal {
		if !set.Contains(r.Host) {
			return refuse(name, "host_not_allowed", nil)
		}
		return nil
	})
}
