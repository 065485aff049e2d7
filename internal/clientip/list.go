package clientip

import "strings"

// list reads the elements of a header from the right: lines from the last to
// the first, and in each the elements from the last to the first.
type list struct {
	lines  []string
	line   string // Line is what is left of the current line.
	inLine bool
	quoted bool // Quoted says that commas in quoted strings do not separate.
}

// newList refuses a header that is too long to be read.
func newList(lines []string, quoted bool) (list, error) {
	size := 0
	for _, line := range lines {
		// An empty line costs something as well.
		if size += len(line) + 1; size > maxBytes {
			return list{}, ErrTooLong
		}
	}
	return list{lines: lines, quoted: quoted}, nil
}

// next returns the next element to the left, which may be empty, without the
// white space around it; ok is false when there is none.
func (l *list) next() (elem string, ok bool, err error) {
	if !l.inLine {
		if len(l.lines) == 0 {
			return "", false, nil
		}
		last := len(l.lines) - 1
		l.line, l.lines, l.inLine = l.lines[last], l.lines[:last], true
	}
	i := strings.LastIndexByte(l.line, ',')
	if l.quoted {
		if _, i, ok = separators(l.line, ','); !ok {
			return "", false, ErrMalformed
		}
	}
	elem = l.line[i+1:]
	if l.inLine = i >= 0; l.inLine {
		l.line = l.line[:i]
	}
	return strings.Trim(elem, " \t"), true, nil
}

// separators returns where sep stands first and last outside quoted strings, or
// -1; ok is false if a quoted string does not end. A line can only be scanned
// from the left: seen from the right, a quotation mark does not tell whether it
// opens or closes.
func separators(s string, sep byte) (first, last int, ok bool) {
	first, last = -1, -1
	inQuotes := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			inQuotes = !inQuotes
		case c == '\\' && inQuotes:
			i++
		case c == sep && !inQuotes:
			if last = i; first < 0 {
				first = i
			}
		}
	}
	return first, last, !inQuotes
}
