package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/wsguard/wsguard/internal/jsonscan"
)

// sourceLimits is for schemas, which their authors write: wide enough for any,
// and without numbers that v5 drops silently.
var sourceLimits = jsonscan.Limits{
	Depth:        256,
	StringLength: 1 << 20,
	Items:        1 << 16,
	Members:      1 << 16,
	Nodes:        1 << 20,
}

// base is the location of a schema without $id, to which relative references
// are resolved.
const base = "mem:///schema"

// Compile compiles a schema. A $ref leads to places in src and in docs, whose
// names are the URIs by which $ref names them, relative ones to the $id of src;
// nothing is ever loaded. Without $schema, src is of draft 2020-12, and a
// document of the draft of src. Formats are asserted in every draft;
// contentEncoding and contentMediaType only in draft 7.
//
// Compile refuses what would not be enforced: keywords and formats that are
// unknown to the draft (unless they begin with x-), keywords that the draft
// ignores beside $ref, numbers beyond the limits of jsonscan, metaschemas of
// one's own, $recursiveRef, and $dynamicRef if its anchor is declared twice. It also refuses the format regex
// and references without end, as checking them is not bounded, and member
// names in one object that differ in case alone, as [Schema.Scan] does.
//
// A schema that a single pass can express runs in one; any other is left to
// v5 as a whole ([Schema.Apart]).
//
// The error joins all problems. It quotes the schema, never a message.
func Compile(src []byte, docs map[string][]byte) (*Schema, error) {
	root, err := parse(src)
	if err != nil {
		return nil, err
	}
	s := sources{review: review{draft: draftOf(root, 2020), anchors: map[string]int{}, dynamic: map[string]string{}}, texts: map[string][]byte{}}
	s.add(base, src, root)
	at, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	if m, ok := root.(map[string]any); ok {
		id, _ := m["$id"].(string)
		if at, err = at.Parse(id); err != nil {
			return nil, fmt.Errorf("#/$id: %w", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(docs)) {
		doc, err := parse(docs[name])
		uri, uriErr := at.Parse(name)
		if uriErr == nil && uri.Fragment != "" {
			uriErr = errors.New("a name has no fragment")
		}
		if err = errors.Join(err, uriErr); err != nil {
			s.problems = append(s.problems, fmt.Errorf("document %q: %w", name, err))
			continue
		}
		s.add(uri.String(), docs[name], doc)
	}
	s.settle()
	if err := errors.Join(s.problems...); err != nil {
		return nil, err
	}
	compiled, err := s.compile()
	if err != nil {
		return nil, err
	}
	names, err := namesOf(compiled)
	if err != nil {
		return nil, err
	}
	schema := &Schema{compiled: compiled, names: names, folded: map[string]bool{}}
	for name := range names {
		schema.folded[fold(name)] = true
	}
	if schema.program, schema.apart = newProgram(compiled); schema.apart != nil {
		if schema.bounds, err = guardV5(compiled); err != nil {
			return nil, err
		}
	}
	return schema.WithLimits(jsonscan.Limits{}), nil
}

func parse(src []byte) (v any, err error) {
	if err := jsonscan.Scan(src, sourceLimits); err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(src))
	decoder.UseNumber()
	err = decoder.Decode(&v)
	return v, err
}

// sources are the texts that a schema is compiled from, by URI.
type sources struct {
	review // of all; its draft is that of those that declare none
	texts  map[string][]byte
}

func (s *sources) add(uri string, text []byte, doc any) {
	r := s.review
	r.draft = draftOf(doc, s.draft)
	place := strings.TrimPrefix(uri, base) + "#"
	if r.draft == 0 {
		r.note(place+"/$schema", "not one of the drafts 4, 6, 7, 2019-09 and 2020-12")
	} else {
		r.schema(place, doc)
	}
	if _, taken := s.texts[uri]; taken {
		r.note(uri, "more than one schema of this name")
	}
	s.texts[uri] = text
	s.problems = r.problems
}

// settle refuses each $dynamicRef that may lead to several places: which of
// them, only a message tells. One whose anchor stands once leads there.
func (s *sources) settle() {
	for _, at := range slices.Sorted(maps.Keys(s.dynamic)) {
		if s.anchors[s.dynamic[at]] > 1 {
			s.note(at, "its $dynamicAnchor stands in more than one place, so that where it leads is known only when a message comes")
		}
	}
}

// compile lets v5 compile the sources, and turns its panics into errors.
func (s *sources) compile() (compiled *jsonschema.Schema, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("schema cannot be compiled: %v", r)
		}
	}()
	c := jsonschema.NewCompiler()
	c.Draft = drafts[s.draft]
	c.AssertFormat = true
	c.LoadURL = func(uri string) (io.ReadCloser, error) {
		return nil, fmt.Errorf("%s is not among the documents given", uri)
	}
	for uri, text := range s.texts {
		if err := c.AddResource(uri, bytes.NewReader(text)); err != nil {
			return nil, err
		}
	}
	if compiled, err = c.Compile(base); err != nil {
		return nil, errors.New(err.Error()) // keeps v5's types behind the wall
	}
	return compiled, nil
}
