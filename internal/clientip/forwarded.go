package clientip

import (
	"net/http"
	"strings"
)

// HTTPS reports whether the proxies say that the client came by HTTPS. They are
// believed only if the peer is trusted.
//
// If the configured header is Forwarded, every proto parameter in it must be
// "https". Otherwise every element of every X-Forwarded-Proto line must be, an
// empty one included. In both cases there must be one, in any case of letters,
// and a header that is malformed or longer than 8 KiB counts as a no.
//
// A proxy that passes on a header of the client's must not be trusted.
func (r *Resolver) HTTPS(c Client, h http.Header) bool {
	if !c.PeerTrusted {
		return false
	}
	isForwarded, name := r.source == SourceForwarded, "X-Forwarded-Proto"
	if isForwarded {
		name = r.header
	}
	l, err := newList(h[name], isForwarded)
	if err != nil {
		return false
	}
	for found := false; ; {
		proto, ok, err := l.next()
		if err != nil {
			return false
		}
		if !ok {
			return found
		}
		if isForwarded {
			proto, ok, err = param(proto, "proto")
			if err != nil {
				return false
			}
			if !ok {
				continue
			}
		}
		if !strings.EqualFold(proto, "https") && !strings.EqualFold(proto, "wss") {
			return false
		}
		found = true
	}
}

// param returns the value of a parameter of a forwarded-element (RFC 7239,
// section 4), unquoted; found is false if the element does not have it. The
// whole element must be well formed, and name the parameter once at most. White
// space around semicolons is tolerated, as some proxies write it.
func param(elem, name string) (value string, found bool, err error) {
	for elem != "" {
		pair := elem
		i, _, ok := separators(elem, ';')
		if !ok {
			return "", false, ErrMalformed
		}
		if elem = ""; i >= 0 {
			pair, elem = pair[:i], pair[i+1:]
		}
		if pair = strings.Trim(pair, " \t"); pair == "" {
			continue
		}
		n, v, _ := strings.Cut(pair, "=")
		v, ok = unquote(v)
		if !ok || !isToken(n) {
			return "", false, ErrMalformed
		}
		if strings.EqualFold(n, name) {
			if found {
				return "", false, ErrMalformed
			}
			value, found = v, true
		}
	}
	return value, found, nil
}

// unquote returns the value of a token or quoted-string (RFC 9110, section
// 5.6.4).
func unquote(s string) (string, bool) {
	inner, ok := strings.CutPrefix(s, `"`)
	if !ok {
		return s, isToken(s)
	}
	var b strings.Builder
	for i := 0; i < len(inner); i++ {
		c := inner[i]
		if c == '"' {
			return b.String(), i == len(inner)-1
		}
		if c == '\\' {
			if i++; i == len(inner) {
				break
			}
			c = inner[i]
		}
		if c < ' ' && c != '\t' || c == 0x7f {
			break
		}
		b.WriteByte(c)
	}
	return "", false
}

// isToken reports whether s is a token (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}
