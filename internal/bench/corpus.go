package main

import (
	"fmt"
	"strings"
)

// A sample is a message and the schema that it satisfies.
type sample struct {
	name    string
	schema  string
	message string
}

// samples are what ordinary traffic is made of.
var samples = []sample{
	{"a chat message of 130 bytes", chatSchema, chatMessage},
	{"an order of 2 KB", orderSchema, order(29)},
	{"a document of 16 KB", documentSchema, document(128)},
	{"a message of 200 bytes with a pattern and formats", formatSchema, formatMessage},
}

const (
	chatSchema = `{"type":"object","additionalProperties":false,"required":["type","room","text"],"properties":{
"type":{"enum":["join","say","leave"]},"room":{"type":"string","minLength":1,"maxLength":32},
"text":{"type":"string","minLength":1,"maxLength":2000},"id":{"type":"integer","minimum":0},"urgent":{"type":"boolean"}}}`
	chatMessage = `{"type":"say","room":"lobby","id":4711,"urgent":false,"text":"The quick brown fox jumps over the lazy dog, and the dog sleeps on"}`

	orderSchema = `{"type":"object","additionalProperties":false,"required":["order","lines"],"properties":{
"order":{"type":"integer","minimum":1},"lines":{"type":"array","minItems":1,"maxItems":100,"items":{
"type":"object","additionalProperties":false,"required":["sku","count","price"],"properties":{
"sku":{"type":"string","maxLength":16},"count":{"type":"integer","minimum":1,"maximum":999},
"price":{"type":"number","minimum":0},"sizes":{"type":"array","maxItems":8,"items":{"type":"integer"}}}}}}}`

	documentSchema = `{"type":"object","additionalProperties":false,"required":["title","parts"],"properties":{
"title":{"type":"string","maxLength":100},"parts":{"type":"array","maxItems":500,"items":{
"type":"object","additionalProperties":false,"required":["id","text"],"properties":{
"id":{"type":"integer"},"text":{"type":"string","maxLength":500},"done":{"type":"boolean"}}}}}}`

	formatSchema = `{"type":"object","additionalProperties":false,"required":["id","room","at","mail"],"properties":{
"id":{"type":"string","format":"uuid"},"room":{"type":"string","pattern":"^[a-z0-9-]{1,32}$"},
"at":{"type":"string","format":"date-time"},"mail":{"type":"string","format":"email"},"text":{"type":"string","maxLength":200}}}`
	formatMessage = `{"id":"0b9f8a52-6d0c-4a57-9f3e-3b1e7a5c2d10","room":"lobby-17","at":"2026-02-03T04:05:06Z","mail":"alice@example.com","text":"The quick brown fox jumps over the lazy dog, and the dog sleeps."}`
)

// order is one of n lines.
func order(n int) string {
	return `{"order":4711,"lines":[` + repeat(n, func(i int) string {
		return fmt.Sprintf(`{"sku":"A-%05d","count":%d,"price":%d.95,"sizes":[%d,38,40,42,44,46]}`, i, i%9+1, i+10, i)
	}) + `]}`
}

// document is one of n parts.
func document(n int) string {
	text := strings.Repeat("old dogs sleep ", 6)
	return `{"title":"Dogs","parts":[` + repeat(n, func(i int) string {
		return fmt.Sprintf(`{"id":%d,"done":true,"text":"%s"}`, 100+i, text)
	}) + `]}`
}

// An attack is a message that must be refused, and one of the same size that
// satisfies the same schema.
type attack struct {
	name    string
	schema  string
	hostile string
	passing string
}

const (
	notes     = `{"type":"array","items":{"type":"string","maxLength":16000}}`
	numbers   = `{"type":"array","items":{"type":"integer"}}`
	recursive = `{"$defs":{"tree":{"anyOf":[{"type":"array","items":{"$ref":"#/$defs/tree"}},` +
		`{"type":"array","maxItems":900,"items":{"anyOf":[{"$ref":"#/$defs/tree"},{"type":"string"}]}},{"type":"string"}]}},"$ref":"#/$defs/tree"}`
	open   = `{"type":"object","additionalProperties":{"type":"integer"}}`
	unique = `{"type":"array","uniqueItems":true,"items":{"type":"string"}}`
)

var attacks = []attack{
	{"depth bomb", notes, strings.Repeat("[", 8<<10) + strings.Repeat("]", 8<<10), strings1k(16 << 10)},
	{"wide object", open, object(2048), object(200)},
	{"long number", numbers, "[" + strings.Repeat("9", 16<<10) + "]", "[" + repeat(1000, func(i int) string { return fmt.Sprintf("%015d", i+1e14) }) + "]"},
	{"colliding uniqueItems", unique, colliding(1000, true), colliding(1000, false)},
	{"32 KB of wrong items", notes, "[" + repeat(1024, func(int) string { return strings.Repeat("9", 31) }) + "]", strings1k(32 << 10)},
	{"recursive anyOf", recursive, strings.Repeat("[", 7) + repeat(40, func(int) string { return `"` + strings.Repeat("a", 300) + `"` }) + ",1" + strings.Repeat("]", 7),
		strings.Repeat("[", 7) + repeat(40, func(int) string { return `"` + strings.Repeat("a", 300) + `"` }) + strings.Repeat("]", 7)},
}

// strings1k is an array of about so many bytes, of strings of 1 KB.
func strings1k(size int) string {
	return "[" + repeat(size>>10, func(int) string { return `"` + strings.Repeat("a", 1021) + `"` }) + "]"
}

// object has n members, in about 20 KB whatever n is.
func object(n int) string {
	pad := strings.Repeat("k", max(0, (20<<10)/n-9))
	return "{" + repeat(n, func(i int) string { return fmt.Sprintf(`"%s%04d":1`, pad, i) }) + "}"
}

// colliding is n strings that share their beginning; the last may be there
// twice.
func colliding(n int, twice bool) string {
	return "[" + repeat(n, func(i int) string {
		if twice && i == n-1 {
			i--
		}
		return fmt.Sprintf(`"aaaaaaaaaaaaaaaa%04d"`, i)
	}) + "]"
}

func repeat(n int, item func(int) string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = item(i)
	}
	return strings.Join(items, ",")
}
