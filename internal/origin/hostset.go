package origin

import "strings"

// HostSet is an immutable list of the names under which an endpoint may be
// addressed. A page that had its own name resolve to this server (DNS
// rebinding) sends that name in the Host header, and is found out by it.
//
// A HostSet may be used by several goroutines at once. The zero HostSet, like a
// nil one, contains nothing.
type HostSet struct{ set Set }

// NewHostSet makes a HostSet of hosts. An entry is a host name or an address,
// an IPv6 address in brackets, with or without a port, or a wildcard, which
// follows the rule of [NewSet]: "*.example.com" matches every subdomain of
// example.com at any depth, and never example.com itself.
//
// An entry without a port matches a header without one or with port 80 or 443,
// the ports that a URL leaves out. An entry with a port matches exactly that
// port, written in the header; as clients leave out the port that the scheme
// implies, "example.com:443" is seldom what is meant.
//
// The error joins a [PatternError] for each entry that is malformed or
// repeated. A list without entries is an error as well.
func NewHostSet(hosts []string) (*HostSet, error) {
	s := new(HostSet)
	if err := s.set.fill(hosts, hostSyntax); err != nil {
		return nil, err
	}
	return s, nil
}

// Contains reports whether the value of a Host header is in the set. A header
// that is malformed, empty, longer than 512 bytes or ends in a dot never is.
// Contains does not allocate for a header in lower case.
func (s *HostSet) Contains(hostHeader string) bool {
	if s == nil || len(hostHeader) > maxLength {
		return false
	}
	host, port, err := parseHost(hostHeader)
	if err != nil {
		return false
	}
	if s.set.Contains(Origin{Host: host, Port: port}) {
		return true
	}
	return (port == 80 || port == 443) && s.set.Contains(Origin{Host: host})
}

// String returns the entries in normal form and in the order given, separated
// by commas.
func (s *HostSet) String() string {
	if s == nil {
		return ""
	}
	return s.set.String()
}

// parseHostPattern reads an entry; the key of a wildcard is its suffix.
func parseHostPattern(s string) (key Origin, wild bool, err error) {
	if len(s) > maxLength {
		return Origin{}, false, errTooLong
	}
	s, wild = strings.CutPrefix(s, "*.")
	key.Host, key.Port, err = parseHost(s)
	if err == nil && wild {
		err = checkSuffix(key.Host)
	}
	return key, wild, err
}
