// Package origin parses the Origin and Host headers of a handshake and decides
// whether a list of patterns holds them.
//
// A browser writes an origin in one form only, the ASCII serialization of
// RFC 6454, section 6.2. Whatever has another form is refused and not repaired;
// only the case of letters, a port that the scheme implies, and the spelling of
// an IPv6 address are normalized, since they cannot change who is meant.
package origin

import (
	"errors"
	"strconv"
	"strings"
)

// maxLength is the number of bytes of an Origin or Host header that are looked
// at. A host name has 253 bytes at most.
const maxLength = 512

// The reasons why a header is refused. None quotes what the peer sent.
var (
	errTooLong = errors.New("longer than 512 bytes")
	errScheme  = errors.New("malformed scheme, or none")
	errHost    = errors.New("malformed host, or none")
	errPort    = errors.New("malformed port, or something after the host")
)

// Origin is the scheme, host and port of a page (RFC 6454). Two origins are the
// same if and only if they are equal with ==, because Parse normalizes: Scheme
// and Host are lower case, an IPv6 Host is in its canonical form and without
// brackets, and Port is the one that the scheme implies where none was written.
// Port is 0 only if the scheme implies none and none was written, as in
// chrome-extension://abc. An Origin is made by Parse, never by hand.
//
// The zero Origin is no origin, and no Set contains it.
type Origin struct {
	Scheme, Host string
	Port         uint16
}

// Parse reads the value of one Origin header: scheme "://" host [":" port], in
// ASCII and with nothing before, between or after. It refuses "null", the empty
// string, user information, a path (even a lone slash), a query, a fragment,
// white space, percent-escapes, lists, a port that is 0, above 65535 or written
// with a sign or leading zeros, a host with an empty label, and more than 512
// bytes.
//
// Parse refuses a host that ends in a dot as well: to a browser example.com. is
// another origin than example.com, and to DNS it is the same host, so that
// neither answer to "is it allowed?" would be right.
//
// A host whose last label is a number must be an IPv4 address in dotted decimal
// form; browsers send no other (https://2130706433 becomes https://127.0.0.1).
//
// Parse does not allocate for an origin that is already normal. (R05)
func Parse(s string) (Origin, error) {
	if len(s) > maxLength {
		return Origin{}, errTooLong
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || !isScheme(scheme) {
		return Origin{}, errScheme
	}
	host, port, err := parseHost(rest)
	if err != nil {
		return Origin{}, err
	}
	scheme = strings.ToLower(scheme)
	if port == 0 {
		port = defaultPort(scheme)
	}
	return Origin{Scheme: scheme, Host: host, Port: port}, nil
}

// String returns the serialization that Parse reads, without a port that the
// scheme implies. An Origin without a scheme is written as a Host header.
func (o Origin) String() string {
	s := o.Host
	if strings.IndexByte(s, ':') >= 0 {
		s = "[" + s + "]"
	}
	if o.Scheme != "" {
		s = o.Scheme + "://" + s
	}
	if o.Port != defaultPort(o.Scheme) {
		s += ":" + strconv.Itoa(int(o.Port))
	}
	return s
}

// defaultPort returns the port that a scheme implies, or 0.
func defaultPort(scheme string) uint16 {
	switch scheme {
	case "http", "ws":
		return 80
	case "https", "wss":
		return 443
	}
	return 0
}

// isScheme reports whether s is a scheme of RFC 3986, section 3.1.
func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !isAlpha(c) && (i == 0 || !isDigit(c) && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return s != ""
}

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
