package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// A browser is a headless Chromium, driven through its DevTools protocol. The
// few commands that a test needs are no reason for a dependency.
type browser struct {
	t    *testing.T
	ctx  context.Context
	conn *websocket.Conn

	mu       sync.Mutex
	last     int
	answers  map[int]chan devtoolsMessage
	problems []string // exceptions and violations of the content policy
}

type devtoolsMessage struct {
	ID        int             `json:"id,omitempty"`
	SessionID string          `json:"sessionId,omitempty"`
	Method    string          `json:"method,omitempty"`
	Params    any             `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// startBrowser skips the test where there is no Chromium, but not in CI.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("no chromium is installed")
		}
		t.Skip("no chromium is installed")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, path,
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1280,800",
		"--remote-debugging-port=0", "--user-data-dir="+t.TempDir(), "about:blank")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() })
	url := make(chan string, 1)
	go func() {
		defer close(url)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if m := regexp.MustCompile(`DevTools listening on (ws://\S+)`).FindStringSubmatch(lines.Text()); m != nil {
				url <- m[1]
			}
		}
	}()
	endpoint, ok := <-url
	if !ok {
		t.Fatal("chromium does not start")
	}
	b := &browser{t: t, ctx: ctx, answers: make(map[int]chan devtoolsMessage)}
	if b.conn, _, err = websocket.Dial(ctx, endpoint, nil); err != nil {
		t.Fatal(err)
	}
	b.conn.SetReadLimit(-1)
	go b.read()
	t.Cleanup(func() { b.call("", "Browser.close", nil, nil) })
	return b
}

func (b *browser) read() {
	for {
		var m devtoolsMessage
		if wsjson.Read(b.ctx, b.conn, &m) != nil {
			return
		}
		b.mu.Lock()
		params, _ := json.Marshal(m.Params)
		if m.Method == "Runtime.exceptionThrown" || m.Method == "Log.entryAdded" && strings.Contains(string(params), `"source":"security"`) {
			b.problems = append(b.problems, string(params))
		}
		if answer := b.answers[m.ID]; answer != nil {
			delete(b.answers, m.ID)
			answer <- m
		}
		b.mu.Unlock()
	}
}

func (b *browser) call(session, method string, params, result any) {
	b.t.Helper()
	b.mu.Lock()
	b.last++
	id, answer := b.last, make(chan devtoolsMessage, 1)
	b.answers[id] = answer
	b.mu.Unlock()
	if err := wsjson.Write(b.ctx, b.conn, devtoolsMessage{ID: id, SessionID: session, Method: method, Params: params}); err != nil {
		b.t.Fatal(method, err)
	}
	select {
	case m := <-answer:
		if m.Error != nil {
			b.t.Fatal(method, m.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				b.t.Fatal(method, err)
			}
		}
	case <-b.ctx.Done():
		b.t.Fatal(method, b.ctx.Err())
	}
}

// A profile holds cookies of its own.
func (b *browser) profile() string {
	b.t.Helper()
	var context struct{ BrowserContextID string }
	b.call("", "Target.createBrowserContext", nil, &context)
	return context.BrowserContextID
}

type tab struct {
	b       *browser
	session string
}

func (b *browser) open(profile, url string) *tab {
	b.t.Helper()
	var target struct{ TargetID string }
	b.call("", "Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": profile}, &target)
	var session struct{ SessionID string }
	b.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	p := &tab{b, session.SessionID}
	for _, domain := range []string{"Runtime", "Log", "Page"} {
		b.call(p.session, domain+".enable", nil, nil)
	}
	b.call(p.session, "Page.navigate", map[string]any{"url": url}, nil)
	p.until(`location.href.startsWith('http') && document.readyState === 'complete'`)
	return p
}

// eval runs a statement in the page.
func (p *tab) eval(format string, args ...any) string {
	p.b.t.Helper()
	expression := fmt.Sprintf(format, args...)
	var result struct {
		Result           struct{ Value any }
		ExceptionDetails json.RawMessage
	}
	p.b.call(p.session, "Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &result)
	if result.ExceptionDetails != nil {
		p.b.t.Fatalf("%s: %s", expression, result.ExceptionDetails)
	}
	return fmt.Sprint(result.Result.Value)
}

// until waits for an expression to be true.
func (p *tab) until(format string, args ...any) {
	p.b.t.Helper()
	expression := fmt.Sprintf(format, args...)
	if got := p.eval(`new Promise((done) => {
		const end = Date.now() + 20000;
		(function look() {
			if (%s) return done(true);
			if (Date.now() > end) return done(document.body.innerText);
			setTimeout(look, 20);
		})();
	})`, expression); got != "true" {
		p.b.t.Fatalf("never true: %s, on the page:\n%s", expression, got)
	}
}
