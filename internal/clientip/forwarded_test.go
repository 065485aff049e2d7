package clientip_test

import (
	"strings"
	"testing"

	"github.com/wsguard/wsguard/internal/clientip"
)

const xfp = "X-Forwarded-Proto"

var httpsTable = []struct {
	name   string
	config string
	header string
	lines  []string
	want   bool
}{
	{"absent", "", xfp, nil, false},
	{"https", "", xfp, []string{"https"}, true},
	{"upper case", "", xfp, []string{"HTTPS"}, true},
	{"http", "", xfp, []string{"http"}, false},
	{"wss, as some proxies say for an upgrade", "", xfp, []string{"wss"}, true},
	{"ws", "", xfp, []string{"ws"}, false},
	{"all https", "", xfp, []string{"https, https", "https"}, true},
	{"client over http", "", xfp, []string{"http, https"}, false},
	{"forged left", "", xfp, []string{"https, http"}, false},
	{"forged line", "", xfp, []string{"https", "http"}, false},
	{"empty", "", xfp, []string{""}, false},
	{"empty element", "", xfp, []string{"https,"}, false},
	{"prefix", "", xfp, []string{"https-or-so"}, false},
	{"quoted", "", xfp, []string{`"https"`}, false},
	{"hostile size", "", xfp, []string{strings.Repeat("https,", 2000) + "https"}, false},
	{"single-value mode", cfip, xfp, []string{"https"}, true},
	{"wrong header", "", fwd, []string{"proto=https"}, false},

	{"forwarded, wrong header", fwd, xfp, []string{"https"}, false},
	{"forwarded", fwd, fwd, []string{"for=203.0.113.7;proto=https"}, true},
	{"forwarded, quoted", fwd, fwd, []string{`for=203.0.113.7;Proto="HTTPS"`}, true},
	{"forwarded, absent", fwd, fwd, nil, false},
	{"forwarded, no proto", fwd, fwd, []string{"for=203.0.113.7"}, false},
	{"forwarded, one without proto", fwd, fwd, []string{"for=203.0.113.7;proto=https, for=10.0.0.2"}, true},
	{"forwarded, one http", fwd, fwd, []string{"proto=http", "proto=https"}, false},
	{"forwarded, last http", fwd, fwd, []string{"proto=https, proto=http"}, false},
	{"forwarded, twice in one element", fwd, fwd, []string{"proto=https;proto=https"}, false},
	{"forwarded, malformed element", fwd, fwd, []string{"x, proto=https"}, false},
	{"forwarded, quote not closed", fwd, fwd, []string{`for=", proto=https`, "proto=https"}, false},
	{"forwarded, hostile size", fwd, fwd, []string{strings.Repeat("proto=https,", 1000)}, false},
}

// R01, R52
func TestHTTPS(t *testing.T) {
	for _, row := range httpsTable {
		t.Run(row.name, func(t *testing.T) {
			r := newResolver(t, clientip.Config{Trusted: trusted, Header: row.config})
			h := header(row.header, row.lines...)
			if got := r.HTTPS(clientip.Client{PeerTrusted: true}, h); got != row.want {
				t.Errorf("HTTPS = %v", got)
			}
			if r.HTTPS(clientip.Client{}, h) {
				t.Error("an untrusted peer is believed")
			}
		})
	}
}
