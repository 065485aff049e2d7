package origin

import (
	"errors"
	"strconv"
	"strings"
)

var errSuffix = errors.New("a wildcard over an address, or over a single label")

// PatternError says why a pattern cannot be used.
type PatternError struct {
	Pattern string // Pattern is the pattern as it was given.
	Reason  string // Reason says what is wrong and what to write instead.
}

// Error returns the pattern, with all that is not ASCII escaped, so that a
// letter that only looks Latin is seen, and the reason.
func (e *PatternError) Error() string {
	return "pattern " + quote(e.Pattern) + ": " + e.Reason
}

// syntax is what differs between the patterns of a Set and of a HostSet.
type syntax struct {
	example   string
	hasScheme bool
	parse     func(string) (key Origin, wild bool, err error)
}

var (
	originSyntax = syntax{example: "https://app.example.com", hasScheme: true, parse: parsePattern}
	hostSyntax   = syntax{example: "ws.example.com", parse: parseHostPattern}
)

// mistakes are characters that no host has, and what they mean in one. The
// first that is found is reported.
var mistakes = []struct{ chars, reason string }{
	{", \t\r\n", "a list, or white space"},
	{"@", "user information"},
	{"/?#", "a path, query or fragment, if only a slash"},
	{"*", "a wildcard that is not the whole first label with two or more labels after it"},
	{"%", "a percent-escape"},
}

// reason returns what is wrong with a pattern that parse refused with err, and
// what to write instead.
func (x syntax) reason(pattern string, err error) string {
	advice := "; write one as in " + quote(x.example)
	if better := x.repair(pattern); better != "" {
		advice = "; write " + quote(better)
	}
	_, host, hasScheme := strings.Cut(pattern, "://")
	if !hasScheme {
		host = pattern
	}
	switch {
	case host == "":
		return "empty" + advice
	case pattern == "null":
		return "sent by sandboxed frames and local files of anybody" + advice
	case host == "*":
		return "everybody would be allowed" + advice
	case strings.ContainsFunc(host, func(r rune) bool { return r > 0x7f }):
		return `not ASCII; write the A-label, which begins with "xn--"`
	case hasScheme && !x.hasScheme:
		return "a scheme, which no Host header has" + advice
	}
	for _, m := range mistakes {
		if strings.ContainsAny(host, m.chars) {
			return m.reason + advice
		}
	}
	return err.Error() + advice
}

// repair returns the pattern that was probably meant, or nothing. It serves
// messages alone; no list is ever made of repaired patterns.
func (x syntax) repair(s string) string {
	scheme, host, ok := strings.Cut(strings.TrimSpace(s), "://")
	if !ok {
		scheme, host = "https", scheme
	}
	if i := strings.IndexAny(host, "/?#"); i >= 0 {
		host = host[:i]
	}
	host = strings.TrimSuffix(host[strings.LastIndexByte(host, '@')+1:], ".")
	if suffix, ok := strings.CutPrefix(host, "*"); ok {
		host = "*." + strings.TrimPrefix(suffix, ".")
	}
	if x.hasScheme {
		host = scheme + "://" + host
	}
	key, wild, err := x.parse(host)
	if err != nil || key.Host == "null" {
		return ""
	}
	return patternName(key, wild)
}

// patternName returns the normal form of a pattern.
func patternName(key Origin, wild bool) string {
	if wild {
		key.Host = "*." + key.Host
	}
	return key.String()
}

func quote(s string) string { return strconv.QuoteToASCII(s) }
