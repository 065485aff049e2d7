package wsguard

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// R59
func TestPanickingHook(t *testing.T) {
	for _, r := range observerCalls {
		t.Run(r.name, func(t *testing.T) {
			logger, read := captureLog(t)
			var after []string
			o := NewObserver("chat", logger,
				hooksCalling(func(name, _ string) { panic("secret\u202e of " + name) }),
				hooksCalling(func(name, _ string) { after = append(after, name) }))
			err := r.call(o)
			if want := "wsguard: hook " + r.name + " panicked"; r.name != "Anomaly" && (err == nil || err.Error() != want) {
				t.Errorf("got error %v, want %s", err, want)
			}
			if !slices.Equal(after, []string{r.name}) {
				t.Errorf("the next hooks saw %v", after)
			}
			if n := o.Stats().HookPanics; n != 1 {
				t.Errorf("%d panics counted", n)
			}
			all := read()
			last := all[len(all)-1]
			if last["msg"] != "websocket hook panicked" || last["level"] != "ERROR" || last["endpoint"] != "chat" ||
				last["stage"] != "hook "+r.name || last["detail"] != `secret\u202e of `+r.name ||
				!strings.Contains(last["stack"].(string), "TestPanickingHook") {
				t.Errorf("logged %v", last)
			}
		})
	}
}

// brokenHandler panics where it is told to.
type brokenHandler struct {
	slog.Handler
	enabled, handle bool
}

func (h brokenHandler) Enabled(context.Context, slog.Level) bool {
	if h.enabled {
		panic("no level")
	}
	return true
}

func (h brokenHandler) Handle(context.Context, slog.Record) error {
	if h.handle {
		panic("disk full")
	}
	return errors.New("disk full")
}

// R59
func TestPanickingLog(t *testing.T) {
	for _, handler := range []brokenHandler{{enabled: true}, {handle: true}, {}} {
		for _, r := range observerCalls {
			var after []string
			o := NewObserver("chat", slog.New(handler), hooksCalling(func(name, _ string) { after = append(after, name) }))
			err := r.call(o)
			if !slices.Equal(after, []string{r.name}) {
				t.Errorf("%s: the hooks saw %v", r.name, after)
			}
			panics := (handler.enabled || handler.handle) && r.name != "Message"
			if n := o.Stats().HookPanics; (n == 1) != panics {
				t.Errorf("%s: %d panics counted", r.name, n)
			}
			if want := panics && r.name != "Anomaly"; (err != nil) != want || want && err.Error() != "wsguard: the log panicked" {
				t.Errorf("%s: got error %v", r.name, err)
			}
		}
	}
}

// TestEndpointIsTheObserversOwn has a connection that two observers watch.
func TestEndpointIsTheObserversOwn(t *testing.T) {
	for _, r := range observerCalls {
		if r.name == "Message" { // has a pointer, which nobody may change
			continue
		}
		o := NewObserver("mine", nil, hooksCalling(func(name, endpoint string) {
			if endpoint != "mine" {
				t.Errorf("%s: endpoint %q", name, endpoint)
			}
		}))
		_ = r.call(o)
	}
}

func TestJoinHooks(t *testing.T) {
	fields := func(h Hooks) (set []string) {
		v := reflect.ValueOf(h)
		for i := range v.NumField() {
			if !v.Field(i).IsNil() {
				set = append(set, v.Type().Field(i).Name)
			}
		}
		return set
	}
	if set := fields(JoinHooks()); set != nil {
		t.Errorf("no hooks set %v", set)
	}
	if set := fields(JoinHooks(Hooks{}, Hooks{})); set != nil {
		t.Errorf("silent hooks set %v", set)
	}
	noop := hooksCalling(func(string, string) {})
	if set := fields(JoinHooks(Hooks{}, noop)); len(set) != reflect.TypeFor[Hooks]().NumField() {
		t.Errorf("full hooks set only %v", set)
	}

	var calls []string
	call := func(s string) Hooks {
		return Hooks{Message: func(context.Context, MessageEvent) {
			calls = append(calls, s)
			if strings.HasPrefix(s, "panics") {
				panic(s)
			}
		}}
	}
	joined := JoinHooks(call("a"), Hooks{}, JoinHooks(call("panics"), call("b")), call("c"))
	defer func() {
		if p := recover(); p != "panics" {
			t.Errorf("recovered %v", p)
		}
		if want := []string{"a", "panics", "b", "c"}; !slices.Equal(calls, want) {
			t.Errorf("called %v, want %v", calls, want)
		}
	}()
	joined.Message(background, MessageEvent{})
}
