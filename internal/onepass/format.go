package onepass

import "bytes"

// Formats has functions that see, without allocating, that a string has the
// ordinary form of a format. Of a string of which they say no, nothing is
// known: v5 is asked, as it says what a format means.
var Formats = map[string]func([]byte) bool{
	"date-time":     isDateTime,
	"date":          isDate,
	"time":          isTime,
	"email":         isEmail,
	"hostname":      isHostname,
	"ipv4":          isIPv4,
	"uri":           isURI,
	"uri-reference": isURI,
	"uuid":          isUUID,
}

func isDateTime(s []byte) bool {
	return len(s) >= 20 && s[10] == 'T' && isDate(s[:10]) && isTime(s[11:])
}

func isDate(s []byte) bool {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' {
		return false
	}
	year, month, day := digits(s[:4]), digits(s[5:7]), digits(s[8:])
	if year < 0 || month < 1 || month > 12 || day < 1 {
		return false
	}
	days := [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[month-1]
	if month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0) {
		days = 29
	}
	return day <= days
}

// isTime leaves leap seconds to v5.
func isTime(s []byte) bool {
	if len(s) < 9 || !isClock(s[:5]) || s[5] != ':' || !within(s[6:8], 59) {
		return false
	}
	if s = s[8:]; s[0] == '.' {
		n := 1
		for n < len(s) && isDigit(s[n]) {
			n++
		}
		if n == 1 {
			return false
		}
		s = s[n:]
	}
	if len(s) == 1 {
		return s[0] == 'Z'
	}
	return len(s) == 6 && (s[0] == '+' || s[0] == '-') && isClock(s[1:])
}

// isClock reports whether s is an hour and a minute.
func isClock(s []byte) bool { return within(s[:2], 23) && s[2] == ':' && within(s[3:], 59) }

func within(s []byte, most int) bool {
	n := digits(s)
	return 0 <= n && n <= most
}

// digits returns the number of a few digits, or -1.
func digits(s []byte) int {
	n := 0
	for _, c := range s {
		if !isDigit(c) {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isAlphanumeric(c byte) bool {
	return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// isEmail accepts a local part of words with dots between them.
func isEmail(s []byte) bool {
	at := bytes.IndexByte(s, '@')
	if at < 1 || at > 64 || len(s) > 254 || s[0] == '.' || s[at-1] == '.' {
		return false
	}
	for i, c := range s[:at] {
		switch {
		case isAlphanumeric(c), c == '_', c == '-', c == '+':
		case c == '.' && s[i+1] != '.':
		default:
			return false
		}
	}
	return isHostname(s[at+1:])
}

func isHostname(s []byte) bool {
	if len(s) == 0 || len(s) > 253 {
		return false
	}
	label := 0
	for i, c := range s {
		switch {
		case isAlphanumeric(c), c == '-' && label > 0:
			if label++; label > 63 {
				return false
			}
		case c == '.' && label > 0 && s[i-1] != '-':
			label = 0
		default:
			return false
		}
	}
	return label > 0 && s[len(s)-1] != '-'
}

func isIPv4(s []byte) bool {
	for i := range 4 {
		part := s
		if i < 3 {
			dot := bytes.IndexByte(s, '.')
			if dot < 0 {
				return false
			}
			part, s = s[:dot], s[dot+1:]
		}
		if len(part) == 0 || len(part) > 3 || len(part) > 1 && part[0] == '0' || !within(part, 255) {
			return false
		}
	}
	return true
}

// isURI accepts addresses of the web without escapes.
func isURI(s []byte) bool {
	rest, ok := bytes.CutPrefix(s, []byte("https://"))
	if !ok {
		if rest, ok = bytes.CutPrefix(s, []byte("http://")); !ok {
			return false
		}
	}
	host, path, _ := bytes.Cut(rest, []byte("/"))
	for _, c := range path {
		switch {
		case isAlphanumeric(c):
		case bytes.IndexByte([]byte("/-._~?&=+"), c) >= 0:
		default:
			return false
		}
	}
	return isHostname(host)
}

func isUUID(s []byte) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range s {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !isDigit(c) && ('a' > c|0x20 || c|0x20 > 'f') {
				return false
			}
		}
	}
	return true
}
