package origin

import (
	"net/netip"
	"strings"
)

// parseHost reads host [":" port] and returns the host in normal form; the port
// is 0 if none is written.
func parseHost(s string) (host string, port uint16, err error) {
	var tail string
	if inner, ok := strings.CutPrefix(s, "["); ok {
		inner, tail, ok = strings.Cut(inner, "]")
		if !ok {
			return "", 0, errHost
		}
		host, ok = parseIPv6(inner)
		if !ok {
			return "", 0, errHost
		}
	} else {
		end := strings.IndexByte(s, ':')
		if end < 0 {
			end = len(s)
		}
		host, tail = s[:end], s[end:]
		if !isName(host) {
			return "", 0, errHost
		}
		host = strings.ToLower(host)
	}
	if tail == "" {
		return host, 0, nil
	}
	port, ok := parsePort(tail)
	if !ok {
		return "", 0, errPort
	}
	return host, port, nil
}

// parsePort reads ":" port, the port in decimal, from 1 to 65535.
func parsePort(s string) (uint16, bool) {
	if len(s) < 2 || len(s) > len(":65535") || s[0] != ':' || s[1] == '0' {
		return 0, false
	}
	n := 0
	for i := 1; i < len(s); i++ {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = 10*n + int(s[i]-'0')
	}
	return uint16(n), n <= 65535
}

// parseIPv6 returns the canonical form of an IPv6 address without a zone. The
// form that is already canonical is returned as it is, without allocating.
func parseIPv6(s string) (string, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is6() || a.Zone() != "" {
		return "", false
	}
	var buf [64]byte
	if b := a.AppendTo(buf[:0]); string(b) != s {
		return string(b), true
	}
	return s, true
}

// isName reports whether s is a host name of one or more labels, or an IPv4
// address. Labels hold letters, digits, hyphens and, since browsers resolve
// them, underscores.
func isName(s string) bool {
	label := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			if i == label {
				return false
			}
			label = i + 1
		case !isAlpha(c) && !isDigit(c) && c != '-' && c != '_':
			return false
		}
	}
	last := s[label:]
	if last == "" {
		return false
	}
	if isNumber(last) {
		_, err := netip.ParseAddr(s)
		return err == nil
	}
	return true
}

// isNumber reports whether a URL parser takes a last label for part of an IPv4
// address: decimal or octal digits, or 0x and hexadecimal ones.
func isNumber(label string) bool {
	digits, isHex := label, false
	if len(label) >= 2 && label[0] == '0' && label[1]|0x20 == 'x' {
		digits, isHex = label[2:], true
	}
	for i := range len(digits) {
		c := digits[i]
		if !isDigit(c) && !(isHex && isAlpha(c) && c|0x20 <= 'f') {
			return false
		}
	}
	return true
}
