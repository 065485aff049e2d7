package schema

import (
	"cmp"
	"net/url"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// The values of Violation.Reason, besides those of jsonscan.
const (
	ReasonSchema   = "schema"   // the message does not have the form that is asked for
	ReasonInternal = "internal" // the validator failed, so that nothing is known
)

// maxPath is the greatest length of a Violation's path in bytes.
const maxPath = 256

// A Violation says why a message was refused, in words of the schema alone:
// it holds no value of the message, no member name that the schema does not
// declare, and no constant of the schema. It can be logged.
type Violation struct {
	// Reason is one of the Reason constants here or in jsonscan.
	Reason string
	// Keyword is the keyword of the schema that was violated, or under which
	// the schema false stands, "false" for that schema in a list or under a
	// name, "internal" for ReasonInternal, and empty for a reason of jsonscan.
	Keyword string
	// Path is a JSON Pointer (RFC 6901) of at most 256 bytes to the value. It
	// ends early, at an ancestor, before a member that the schema does not
	// declare under properties, and before it would get longer.
	Path string
}

// Error returns reason, keyword and path.
func (v *Violation) Error() string {
	if v.Keyword == "" {
		return v.Reason
	}
	return v.Reason + ": " + v.Keyword + " at " + strconv.Quote(v.Path)
}

func internal() *Violation { return &Violation{Reason: ReasonInternal, Keyword: "internal"} }

// violation reports one failure of those that v5 found, always the same for
// the same message, although v5 lists them in the order of a map.
func (s *Schema) violation(message any, err *jsonschema.ValidationError) *Violation {
	found := pick(nil, err)
	return &Violation{Reason: ReasonSchema, Keyword: found.keyword, Path: s.path(message, found.location)}
}

// A failure is a leaf of v5's tree of errors.
type failure struct {
	keyword, location string
}

// pick returns the failure that says most: the deepest, as the branch of an
// anyOf that came closest fails deepest. A const comes last, as it mostly
// tells the branches of an anyOf apart and fails in those not meant. Among
// equals the first by path and keyword is taken.
func pick(best *failure, err *jsonschema.ValidationError) *failure {
	if len(err.Causes) == 0 {
		found := &failure{keywordOf(err), err.InstanceLocation}
		if best == nil || found.compare(best) < 0 {
			return found
		}
		return best
	}
	for _, cause := range err.Causes {
		best = pick(best, cause)
	}
	return best
}

func (f *failure) compare(g *failure) int {
	isConst := func(f *failure) int {
		if f.keyword == "const" {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(isConst(f), isConst(g)),
		cmp.Compare(strings.Count(g.location, "/"), strings.Count(f.location, "/")),
		strings.Compare(f.location, g.location),
		strings.Compare(f.keyword, g.keyword),
	)
}

// keywordOf returns the keyword that failed. It is the end of its location,
// which is made of the schema alone.
func keywordOf(err *jsonschema.ValidationError) string {
	tokens := strings.Split(err.KeywordLocation, "/")
	last := len(tokens) - 1
	switch {
	case err.Message == "not allowed" && keywords[tokens[last]].holds != schemas: // v5's word for the schema false
		return "false"
	case isNumber(tokens[last]) && last >= 2: // dependentRequired/name/0
		return tokens[last-2]
	}
	return tokens[last]
}

// path rewrites v5's location of a value, whose tokens are percent-encoded
// and may hold names of the peer.
func (s *Schema) path(value any, location string) string {
	path := ""
	for _, token := range strings.Split(location, "/")[1:] {
		token, err := url.PathUnescape(token)
		if err != nil || len(path)+1+len(token) > maxPath {
			return path
		}
		switch v := value.(type) {
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i >= len(v) {
				return path
			}
			value = v[i]
		case map[string]any:
			name := unescape.Replace(token)
			next, ok := v[name] // v5 leaves empty names out of the location
			if !ok || !s.names[name] {
				return path
			}
			value = next
		default:
			return path
		}
		path += "/" + token
	}
	return path
}

// unescape reads, and escape writes, a token of a JSON Pointer.
var (
	unescape = strings.NewReplacer("~1", "/", "~0", "~")
	escape   = strings.NewReplacer("~", "~0", "/", "~1")
)
