package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
	v5 "github.com/santhosh-tekuri/jsonschema/v5"
	"golang.org/x/time/rate"
)

// perCallTimeout is what the example of coder/websocket gives each call.
const perCallTimeout = 10 * time.Second

// A judge is what a careful developer writes around each message: the limits of
// a connection in messages and bytes, UTF-8, which neither library checks, and
// the schema.
type judge struct {
	messages, bytes *rate.Limiter
	schema          *v5.Schema
}

func newJudge(schema *v5.Schema) *judge {
	const many = 1 << 30 // as for the guarded contender: in force, but never reached
	return &judge{messages: rate.NewLimiter(many, many), bytes: rate.NewLimiter(many, many), schema: schema}
}

func (j *judge) allows(text bool, p []byte) bool {
	if !j.messages.Allow() || !j.bytes.AllowN(time.Now(), len(p)) || !text || !utf8.Valid(p) {
		return false
	}
	var v any
	return json.Unmarshal(p, &v) == nil && j.schema.Validate(v) == nil
}

// coderTimeouts is the bare library, used as its examples use it: a context
// with a timeout for each call.
func coderTimeouts(*issuer, sample) (http.Handler, error) {
	return coderWithTimeouts(func() func(bool, []byte) bool { return func(bool, []byte) bool { return true } }), nil
}

func coderByHand(_ *issuer, s sample) (http.Handler, error) {
	schema, err := v5.CompileString("schema.json", s.schema)
	return coderWithTimeouts(func() func(bool, []byte) bool { return newJudge(schema).allows }), err
}

func coderWithTimeouts(perConn func() func(text bool, p []byte) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := coder.Accept(w, r, &coder.AcceptOptions{OriginPatterns: []string{strings.TrimPrefix(origin, "https://")}})
		if err != nil {
			return
		}
		defer func() { _ = c.CloseNow() }()
		c.SetReadLimit(32 << 10)
		allows := perConn()
		for coderTurn(c, allows) {
		}
	})
}

func coderTurn(c *coder.Conn, allows func(bool, []byte) bool) bool {
	ctx, cancel := context.WithTimeout(context.Background(), perCallTimeout)
	defer cancel()
	typ, p, err := c.Read(ctx)
	if err != nil {
		return false
	}
	if !allows(typ == coder.MessageText, p) {
		_ = c.Close(coder.StatusPolicyViolation, "")
		return false
	}
	writeCtx, cancelWrite := context.WithTimeout(context.Background(), perCallTimeout)
	defer cancelWrite()
	return c.Write(writeCtx, typ, p) == nil
}

// gorillaByHand sets a deadline before each call, as the chat example of
// gorilla does.
func gorillaByHand(_ *issuer, s sample) (http.Handler, error) {
	schema, err := v5.CompileString("schema.json", s.schema)
	if err != nil {
		return nil, err
	}
	upgrader := gorilla.Upgrader{CheckOrigin: func(r *http.Request) bool { return r.Header.Get("Origin") == origin }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		c.SetReadLimit(32 << 10)
		j := newJudge(schema)
		for {
			_ = c.SetReadDeadline(time.Now().Add(time.Minute))
			typ, p, err := c.ReadMessage()
			if err != nil || !j.allows(typ == gorilla.TextMessage, p) {
				return
			}
			_ = c.SetWriteDeadline(time.Now().Add(perCallTimeout))
			if err := c.WriteMessage(typ, p); err != nil {
				return
			}
		}
	}), nil
}
