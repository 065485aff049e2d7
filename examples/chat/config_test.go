package main

import (
	"errors"
	"flag"
	"io"
	"net"
	"strings"
	"testing"
)

func TestFlags(t *testing.T) {
	for _, row := range []struct{ args, problem string }{
		{"", ""},
		{"-addr :8080 -tls -log json -message-rate 0.5 -token-ttl 1s", ""},
		{"-addr [::1]:0 -trust-proxy 10.0.0.0/8 -trust-proxy ::1 -allow-origin https://a.example -allow-origin https://*.b.example", ""},
		{"-addr 127.0.0.1", "-addr"},
		{"-addr 127.0.0.1:http", "-addr"},
		{"-addr 127.0.0.1:65536", "-addr"},
		{"-addr bücher.example:80", "-addr"},
		{"-max-conns 0", "-max-conns"},
		{"-max-conns-per-ip -1", "-max-conns-per-ip"},
		{"-max-conns-per-user 1e3", "-max-conns-per-user"},
		{"-handshake-rate 0", "-handshake-rate"},
		{"-handshake-rate NaN", "-handshake-rate"},
		{"-message-rate +Inf", "-message-rate"},
		{"-message-burst 99999999999999999999", "-message-burst"},
		{"-max-message-bytes 0", "-max-message-bytes"},
		{"-ping-interval 0s", "-ping-interval"},
		{"-pong-timeout -1s", "-pong-timeout"},
		{"-idle-timeout 5", "-idle-timeout"},
		{"-max-lifetime forever", "-max-lifetime"},
		{"-token-ttl 1500ms", "-token-ttl"},
		{"-token-ttl 0", "-token-ttl"},
		{"-ticket-ttl 999ms", "-ticket-ttl"},
		{"-ticket-ttl 6m", "-ticket-ttl"},
		{"-trust-proxy proxy.example", "-trust-proxy"},
		{"-trust-proxy 0.0.0.0/0", "-trust-proxy"},
		{"-trust-proxy ::ffff:0.0.0.0/96", "-trust-proxy"},
		{"-allow-origin null", "-allow-origin"},
		{"-allow-origin https://a.example/", "-allow-origin"},
		{"-log xml", "-log"},
		{"-tls=maybe", "-tls"},
		{"-nonsense", "-nonsense"},
		{"nonsense", "nonsense"},
		{"-addr", "-addr"},
	} {
		_, err := parseFlags(strings.Fields(row.args), io.Discard)
		if (err == nil) != (row.problem == "") || err != nil && !strings.Contains(err.Error(), row.problem) {
			t.Errorf("%q: got %v", row.args, err)
		}
	}
	if _, err := parseFlags([]string{"-h"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: got %v", err)
	}
}

func TestRunReportsAllProblems(t *testing.T) {
	var stdout, stderr syncBuffer
	status := run(t.Context(), []string{"-max-conns", "0", "-unknown", "-log", "xml", "more"}, &stdout, &stderr)
	if status != 2 || stdout.String() != "" {
		t.Errorf("status %d, standard output %q", status, stdout.String())
	}
	for _, name := range []string{"-max-conns", "-unknown", "-log", `"more"`} {
		if !strings.Contains(stderr.String(), name) {
			t.Errorf("%s is not named in:\n%s", name, stderr.String())
		}
	}
}

func TestRunReportsAddressInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var stdout, stderr syncBuffer
	if status := run(t.Context(), []string{"-addr", ln.Addr().String()}, &stdout, &stderr); status != 1 || stderr.String() == "" {
		t.Errorf("status %d, %q", status, stderr.String())
	}
}

// The chat's own origin is the address that was asked for, and localhost.
func TestOwnOrigins(t *testing.T) {
	for _, row := range []struct{ args, base, origins, hosts string }{
		{"-addr 127.0.0.1:0", "http://127.0.0.1:81", "http://127.0.0.1:81 http://localhost:81", "127.0.0.1:81 127.0.0.1 localhost:81 localhost"},
		{"-addr localhost:0 -tls", "https://localhost:81", "https://localhost:81", "localhost:81 localhost"},
		{"-addr [::1]:0", "http://[::1]:81", "http://[::1]:81 http://localhost:81", "[::1]:81 [::1] localhost:81 localhost"},
		{"-addr :0", "http://127.0.0.1:81", "http://127.0.0.1:81 http://localhost:81 http://[::1]:81", ""},
		{"-addr 0.0.0.0:0", "http://127.0.0.1:81", "http://127.0.0.1:81 http://localhost:81 http://[::1]:81 http://0.0.0.0:81", ""},
		{"-addr 127.0.0.1:0 -allow-origin https://A.example -allow-origin https://a.example:443 -allow-origin http://LOCALHOST:81",
			"http://127.0.0.1:81", "http://127.0.0.1:81 http://localhost:81 https://A.example", "127.0.0.1:81 127.0.0.1 localhost:81 localhost a.example"},
		{"-addr 127.0.0.1:0 -trust-proxy 10.0.0.1", "http://127.0.0.1:81", "http://127.0.0.1:81 http://localhost:81", ""},
	} {
		c, err := parseFlags(strings.Fields(row.args), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		s := &server{config: c, base: baseURL(c, &net.TCPAddr{Port: 81})}
		origins, err := s.origins()
		hosts := s.hosts(origins)
		if s.base != row.base || strings.Join(origins, " ") != row.origins || strings.Join(hosts, " ") != row.hosts || err != nil {
			t.Errorf("%s: got %s, %q, %q, %v", row.args, s.base, origins, hosts, err)
		}
	}
}
