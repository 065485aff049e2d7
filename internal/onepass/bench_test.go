package onepass_test

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"strings"
	"testing"

	"github.com/wsguard/wsguard/internal/jsonscan"
	"github.com/wsguard/wsguard/internal/onepass"
	"github.com/wsguard/wsguard/internal/schema"
)

// chatSchema has five properties, and chat is an ordinary message of 130 bytes.
const (
	chatSchema = `{
		"type": "object",
		"properties": {
			"type": {"const": "chat"},
			"id": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
			"room": {"type": "string", "maxLength": 32},
			"text": {"type": "string", "minLength": 1, "maxLength": 64},
			"at": {"type": "integer", "minimum": 0},
			"tags": {"type": "array", "items": {"enum": ["a", "b", "c", 3]}, "uniqueItems": true, "maxItems": 3}
		},
		"required": ["type", "text"],
		"additionalProperties": false
	}`
	chat = `{"type":"chat","id":"7f9c2ba4e88f827d","room":"general","text":"Hello, how are you today?","at":1767225600123,"tags":["a","b","c"]}`

	branches = `{"anyOf":[{"type":"array","items":{"$ref":"#"}},{"type":"array","prefixItems":[{"$ref":"#"}]},{"type":"null"}]}`
)

// document is a message of about 16 KB.
func document() (schemaText, message string) {
	var b strings.Builder
	for i := range 96 {
		fmt.Fprintf(&b, `,{"id":%d,"name":"Article number %d","price":%d.%02d,"tags":["new","sale"],"description":"An ordinary article, described in a sentence or two.","stock":{"berlin":%d,"paris":%d}}`, i, i, i, i%100, i*3, i*7)
	}
	return `{"type":"object","required":["articles"],"properties":{"articles":{"type":"array","items":{"$ref":"#/$defs/article"}}},"additionalProperties":false,
		"$defs":{"article":{"type":"object","additionalProperties":false,"required":["id","name","price"],"properties":{
		"id":{"type":"integer","minimum":0},"name":{"type":"string","maxLength":100},"price":{"type":"number","minimum":0,"multipleOf":0.01},
		"tags":{"type":"array","maxItems":8,"items":{"type":"string","maxLength":20}},"description":{"type":"string","maxLength":2000},
		"stock":{"type":"object","additionalProperties":{"type":"integer"}}}}}}`, `{"articles":[` + b.String()[1:] + `]}`
}

var documentSchema, documentText = document()

// order is a message of about 2 KB with arrays in arrays.
func order() (schemaText, message string) {
	var b strings.Builder
	for i := range 12 {
		fmt.Fprintf(&b, `,{"sku":"AB-%04d","count":%d,"price":%d.95,"options":[["size","%d"],["color","blue"]],"parts":[[1,2,%d],[4,5,6],[7,8,9]]}`, i, i+1, i+10, i, i)
	}
	return `{"type":"object","additionalProperties":false,"required":["id","items"],"properties":{"id":{"type":"integer"},"items":{"type":"array","minItems":1,"maxItems":100,"items":{
		"type":"object","additionalProperties":false,"required":["sku","count","price"],"properties":{"sku":{"type":"string","pattern":"^[A-Z]{2}-[0-9]{4}$"},"count":{"type":"integer","minimum":1},
		"price":{"type":"number","multipleOf":0.01},"options":{"type":"array","maxItems":9,"uniqueItems":true,"items":{"type":"array","prefixItems":[{"enum":["size","color"]},{"type":"string","maxLength":20}],"items":false}},
		"parts":{"type":"array","maxItems":9,"items":{"type":"array","maxItems":9,"items":{"type":"integer","minimum":0}}}}}}}}`, `{"id":42,"items":[` + b.String()[1:] + `]}`
}

var orderSchema, orderText = order()

var rows = []struct{ name, schema, message string }{
	{"chat", chatSchema, chat},
	{"chat, refused at its end", chatSchema, strings.Replace(chat, `"c"]`, `"d"]`, 1)},
	{"chat, refused at its start", chatSchema, strings.Replace(chat, `chat`, `join`, 1)},
	{"formats", `{"properties":{"id":{"format":"uuid"},"at":{"format":"date-time"},"by":{"format":"email"},"slug":{"pattern":"^[a-z0-9]+(-[a-z0-9]+)*$"}}}`,
		`{"id":"7f9c2ba4-e88f-827d-1111-222233334444","at":"2026-01-01T12:00:00Z","by":"someone@example.com","slug":"a-message-of-some-words"}`},
	{"document of 16 KB", documentSchema, documentText},
	{"order of 2 KB", orderSchema, orderText},
	{"order of small values", smallSchema, small(29)},
	{"oneOf that a const narrows", `{"oneOf":[
		{"properties":{"type":{"const":"join"},"room":{"type":"string"}},"required":["type","room"]},
		{"properties":{"type":{"const":"say"},"text":{"type":"string","maxLength":64}},"required":["type","text"]},
		{"properties":{"type":{"const":"leave"}},"required":["type"]}]}`, `{"type":"say","text":"Hello, how are you today?"}`},
	{"depth bomb", chatSchema, strings.Repeat("[", 16<<10)},
	{"depth bomb that types allow", `{}`, strings.Repeat("[", 16<<10)},
	{"wide object", `{}`, wide(256)},
	{"wide object, refused", `{"additionalProperties":{"type":"string"}}`, wide(256)},
	{"long number", `{"multipleOf":0.01}`, strings.Repeat("9", 64)},
	{"too long number", `{"multipleOf":0.01}`, strings.Repeat("9", 30_000)},
	{"items alike", `{"uniqueItems":true}`, `[` + strings.Repeat("[[],[]],", 500) + `[]]`},
	{"different items of one hash", `{"uniqueItems":true}`, nests()},
	{"wrong items of 32 KB", `{"items":{"anyOf":[{"type":"string","maxLength":3},{"type":"object"}]}}`, `["` + strings.Repeat(`abcdefghijklmnopqrstuvwxyz12","`, 1000) + `"]`},
	{"recursive anyOf", branches, strings.Repeat("[", 32) + "1" + strings.Repeat("]", 32)},
	{"recursive anyOf, allowed", branches, strings.Repeat("[", 32) + "null" + strings.Repeat("]", 32)},
}

const smallSchema = `{"type":"object","additionalProperties":false,"required":["order","lines"],"properties":{
	"order":{"type":"integer","minimum":1},"lines":{"type":"array","minItems":1,"maxItems":100,"items":{
	"type":"object","additionalProperties":false,"required":["sku","count","price"],"properties":{
	"sku":{"type":"string","maxLength":16},"count":{"type":"integer","minimum":1,"maximum":999},
	"price":{"type":"number","minimum":0},"sizes":{"type":"array","maxItems":8,"items":{"type":"integer"}}}}}}}`

// small returns a message of n lines, most of whose values are numbers of two
// digits.
func small(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,{"sku":"A-%05d","count":%d,"price":%d.95,"sizes":[%d,38,40,42,44,46]}`, i, i%9+1, i+10, i)
	}
	return `{"order":4711,"lines":[` + b.String()[1:] + `]}`
}

// wide returns an object of n members.
func wide(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":%d`, i, i)
	}
	return "{" + b.String()[1:] + "}"
}

// nests returns an array of 250 different items that have one hash under v5,
// as each is made of 16 arrays.
func nests() string {
	var items []string
	for i := range 1 << 10 {
		if bits.OnesCount(uint(i)) != 5 || len(items) == 250 {
			continue
		}
		var parts []string
		for bit := range 10 {
			parts = append(parts, []string{"[]", "[[]]"}[i>>bit&1])
		}
		items = append(items, "["+strings.Join(parts, ",")+"]")
	}
	return "[" + strings.Join(items, ",") + "]"
}

func compileSchema(text string) (*schema.Schema, error) { return schema.Compile([]byte(text), nil) }

func program(t testing.TB, text string) *onepass.Program {
	t.Helper()
	s, err := compileSchema(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Apart(); err != nil {
		t.Fatal(err)
	}
	return s.Program()
}

func BenchmarkCheck(b *testing.B) {
	for _, row := range rows {
		p := program(b, row.schema)
		message := []byte(row.message)
		run := func(name string, check func()) {
			b.Run(row.name+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(message)))
				b.ReportAllocs()
				for b.Loop() {
					check()
				}
			})
		}
		run("one pass", func() { p.Check(message, jsonscan.Limits{}) })
		run("scan", func() { _ = jsonscan.Scan(message, jsonscan.Limits{}) })
		run("json.Valid", func() { json.Valid(message) })
	}
}
