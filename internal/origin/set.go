package origin

import (
	"errors"
	"net/netip"
	"strings"
)

// Set is an immutable list of allowed origins. It may be used by several
// goroutines at once. The zero Set, like a nil one, contains nothing.
type Set struct {
	exact   map[Origin]struct{}
	below   map[Origin]struct{} // Below holds the suffixes of wildcards.
	longest int                 // Longest is the length of the longest suffix.
	names   []string
}

// NewSet makes a Set of patterns. A pattern is one of these:
//
//   - an origin, as in "https://app.example.com", "http://localhost:3000" or
//     "chrome-extension://abc";
//   - a wildcard, as in "https://*.example.com" or "https://*.example.com:8443".
//     It matches every subdomain of example.com at any depth (a.example.com,
//     a.b.example.com), with this scheme and this port, and never example.com
//     itself. The asterisk is the whole first label, and at least two labels
//     follow it.
//
// A wildcard trusts whoever can get a name below its suffix. NewSet does not
// know which suffixes are open to the public: "https://*.co.uk" and
// "https://*.github.io" are accepted, and let strangers in.
//
// The error joins a [PatternError] for each pattern that is malformed or
// repeated. A list without patterns is an error as well. (R05)
func NewSet(patterns []string) (*Set, error) {
	s := new(Set)
	if err := s.fill(patterns, originSyntax); err != nil {
		return nil, err
	}
	return s, nil
}

// Contains reports whether o is in the set. Its cost does not grow with the
// number of patterns; it does not allocate.
func (s *Set) Contains(o Origin) bool {
	if s == nil {
		return false
	}
	if _, ok := s.exact[o]; ok {
		return true
	}
	for o.Host != "" && len(s.below) > 0 {
		// Only whole labels are cut off, so that evilexample.com is never
		// taken for a subdomain of example.com.
		_, o.Host, _ = strings.Cut(o.Host, ".")
		// What is longer than every suffix is not hashed, which keeps a host of
		// many labels cheap.
		if len(o.Host) > s.longest {
			continue
		}
		if _, ok := s.below[o]; ok {
			return true
		}
	}
	return false
}

// String returns the patterns in normal form and in the order given, separated
// by commas.
func (s *Set) String() string {
	if s == nil {
		return ""
	}
	return strings.Join(s.names, ", ")
}

// fill adds the patterns, and returns everything that is wrong with them.
func (s *Set) fill(patterns []string, x syntax) error {
	if len(patterns) == 0 {
		return errors.New("nothing is listed; write at least one, as in " + quote(x.example))
	}
	s.exact = make(map[Origin]struct{})
	s.below = make(map[Origin]struct{})
	var errs []error
	for _, p := range patterns {
		key, wild, err := x.parse(p)
		if err != nil {
			errs = append(errs, &PatternError{Pattern: p, Reason: x.reason(p, err)})
			continue
		}
		keys, name := s.exact, patternName(key, wild)
		if wild {
			keys = s.below
			s.longest = max(s.longest, len(key.Host))
		}
		if _, ok := keys[key]; ok {
			errs = append(errs, &PatternError{Pattern: p, Reason: "repeated; write " + quote(name) + " once"})
			continue
		}
		keys[key] = struct{}{}
		s.names = append(s.names, name)
	}
	return errors.Join(errs...)
}

// parsePattern reads an origin, or a wildcard, whose key is its suffix.
func parsePattern(s string) (key Origin, wild bool, err error) {
	scheme, rest, _ := strings.Cut(s, "://")
	if rest, wild = strings.CutPrefix(rest, "*."); wild {
		s = scheme + "://" + rest
	}
	key, err = Parse(s)
	if err == nil && wild {
		err = checkSuffix(key.Host)
	}
	return key, wild, err
}

// checkSuffix refuses a wildcard over one label, which would be a top-level
// domain, and over an address, which has no subdomains.
func checkSuffix(host string) error {
	if _, err := netip.ParseAddr(host); err == nil || strings.IndexByte(host, '.') < 0 {
		return errSuffix
	}
	return nil
}
