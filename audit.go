package wsguard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/coder/websocket"
	"github.com/wsguard/wsguard/internal/logsafe"
	"github.com/wsguard/wsguard/internal/sample"
	"github.com/wsguard/wsguard/internal/tally"
)

// auditLog writes who came and went, from where, and what was refused. Its
// methods are hooks. R54, R55, R56.
type auditLog struct {
	logger   *slog.Logger
	refusals *tally.Table[refusalTally] // for their samplers
	panics   *sample.Sampler
}

func (a *auditLog) hooks() Hooks {
	return Hooks{HandshakeDone: a.handshake, ConnClosed: a.closed, Violation: a.violation, Anomaly: a.anomaly}
}

func (a *auditLog) handshake(ctx context.Context, e HandshakeEvent) {
	message, outcome, level := "websocket handshake accepted", "accepted", slog.LevelInfo
	var sampler *sample.Sampler
	if e.Refusal != nil {
		message, outcome, level = "websocket handshake refused", "refused", refusalLevel(e.Refusal)
		sampler = a.refusals.Get(e.Refusal.Reason).refusedLog
	}
	if l := a.begin(ctx, level, sampler, "handshake", outcome); l != nil {
		l.refusal(e.Refusal)
		l.conn(&e.Conn)
		l.add(slog.Duration("duration", e.Took))
		l.write(ctx, message)
	}
}

func (a *auditLog) closed(ctx context.Context, e CloseEvent) {
	level, outcome := closeLevel(&e), "normal"
	if level != slog.LevelInfo {
		outcome = "abnormal"
	}
	if l := a.begin(ctx, level, nil, "close", outcome); l != nil {
		l.refusal(e.Refusal)
		if e.Refusal == nil {
			l.text("detail", e.Reason)
		}
		l.conn(&e.Conn)
		l.add(slog.Int("code", int(e.Code)))
		l.text("initiator", string(e.Initiator))
		l.add(slog.Duration("duration", e.Duration))
		l.write(ctx, "websocket closed")
	}
}

func (a *auditLog) violation(ctx context.Context, e ViolationEvent) {
	sampler := a.refusals.Get(e.Refusal.Reason).violationLog
	if l := a.begin(ctx, refusalLevel(e.Refusal), sampler, "violation", e.Action); l != nil {
		l.refusal(e.Refusal)
		l.conn(&e.Conn)
		if e.Action == "close" {
			l.add(slog.Int("code", int(e.Refusal.CloseCode)))
		}
		l.write(ctx, "websocket violation")
	}
}

func (a *auditLog) anomaly(ctx context.Context, e AnomalyEvent) {
	outcome := "ended"
	if e.Active {
		outcome = "started"
	}
	if l := a.begin(ctx, slog.LevelWarn, nil, "anomaly", outcome); l != nil {
		l.text("endpoint", e.Endpoint)
		l.text("signal", e.Signal)
		l.add(slog.Float64("observed", e.Observed), slog.Float64("expected", e.Expected))
		l.write(ctx, "websocket anomaly")
	}
}

// panicked logs where a hook panicked, for whoever wrote it. No text of a
// peer's is in a stack.
func (a *auditLog) panicked(ctx context.Context, endpoint, who string, value any) {
	if l := a.begin(ctx, slog.LevelError, a.panics, "panic", "recovered"); l != nil {
		l.text("endpoint", endpoint)
		l.text("stage", who)
		l.text("detail", fmt.Sprint(value))
		l.add(slog.String("stack", string(debug.Stack())))
		l.write(ctx, "websocket hook panicked")
	}
}

// report tells the log and the hooks of an event; neither keeps it from the
// other.
func report[E any](ctx context.Context, o *Observer, who string, log, hook func(context.Context, E), e E) error {
	return errors.Join(tell(ctx, o, "the log", log, e), tell(ctx, o, who, hook, e))
}

// tell calls one hook, if it is set, and survives it. R59.
func tell[E any](ctx context.Context, o *Observer, who string, hook func(context.Context, E), e E) (err error) {
	if hook == nil {
		return nil
	}
	defer func() {
		if value := recover(); value != nil {
			err = o.panicked(ctx, who, value)
		}
	}()
	hook(ctx, e)
	return nil
}

// panicked keeps what the panic said for the log. Where it is the log that
// panics, the counter has to do.
func (o *Observer) panicked(ctx context.Context, who string, value any) (err error) {
	o.panics.Add(1)
	err = fmt.Errorf("wsguard: %s panicked", who)
	defer func() { _ = recover() }()
	if o.audit != nil {
		o.audit.panicked(ctx, o.endpoint, who, value)
	}
	return err
}

// refusalLevel is higher for what is the server's own fault.
func refusalLevel(r *Refusal) slog.Level {
	if r.Status == http.StatusInternalServerError || r.CloseCode == websocket.StatusInternalError {
		return slog.LevelError
	}
	return slog.LevelWarn
}

// closeLevel judges by the server's own reason where there is one, which a peer
// that answers with another code cannot play down.
func closeLevel(e *CloseEvent) slog.Level {
	code := e.Code
	if e.Refusal != nil && e.Refusal.CloseCode != 0 {
		code = e.Refusal.CloseCode
	}
	switch code {
	case websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusNoStatusRcvd:
		return slog.LevelInfo
	case websocket.StatusInternalError:
		if e.Refusal != nil || e.Initiator == InitiatorServer {
			return slog.LevelError
		}
	}
	return slog.LevelWarn
}

// closeLabel is bounded whatever peers do: of the codes that are open to
// everybody, 3000 to 4999, a peer's count as "app" unless wsguard knows them.
func closeLabel(code websocket.StatusCode, by Initiator) string {
	switch {
	case code >= 1000 && code <= 1015,
		code == StatusUnauthorized, code == StatusForbidden, code == StatusTimeout,
		code >= 3000 && code <= 4999 && by == InitiatorServer:
		return strconv.Itoa(int(code))
	case code >= 3000 && code <= 4999:
		return "app"
	}
	return tally.Other
}

// auditLine is one line of the log while it is put together.
type auditLine struct {
	handler slog.Handler
	level   slog.Level
	attrs   []slog.Attr
}

// begin returns nil if the line is not wanted or sampled out.
func (a *auditLog) begin(ctx context.Context, level slog.Level, s *sample.Sampler, event, outcome string) *auditLine {
	if !a.logger.Enabled(ctx, level) {
		return nil
	}
	l := &auditLine{handler: a.logger.Handler(), level: level, attrs: make([]slog.Attr, 0, 24)}
	l.text("event", event)
	l.text("outcome", outcome)
	if s != nil {
		suppressed, ok := s.Take()
		if !ok {
			return nil
		}
		if suppressed > 0 {
			l.add(slog.Int64("suppressed", suppressed))
		}
	}
	return l
}

func (l *auditLine) add(attrs ...slog.Attr) { l.attrs = append(l.attrs, attrs...) }

// text is the way of every string that anybody else has a say in.
func (l *auditLine) text(key, value string) {
	if value != "" {
		l.add(slog.String(key, logsafe.String(value)))
	}
}

func (l *auditLine) refusal(r *Refusal) {
	if r == nil {
		return
	}
	l.text("reason", r.Reason)
	l.text("stage", r.Safeguard)
	if r.Err != nil {
		l.text("detail", r.Err.Error())
	}
}

// conn leaves out Subprotocol: what peers offer there may be a token.
func (l *auditLine) conn(c *ConnInfo) {
	l.text("conn_id", c.ID)
	l.text("endpoint", c.Endpoint)
	l.text("user.id", c.Subject)
	l.text("user.issuer", c.Issuer)
	if c.ClientIP.IsValid() {
		l.text("client.address", c.ClientIP.String())
	}
	l.text("client.address.source", c.ClientIPSource)
	l.text("network.peer.address", c.PeerAddr)
	l.text("origin", c.Origin)
	l.text("user_agent", c.UserAgent)
	if c.TokenID != "" {
		l.text("jti", c.TokenID)
	} else {
		l.text("token_fp", c.TokenFingerprint)
	}
}

// write goes to the handler itself because the time is to be UTC, which a
// Logger does not let one choose. R56.
func (l *auditLine) write(ctx context.Context, message string) {
	record := slog.NewRecord(time.Now().UTC(), l.level, message, 0)
	record.AddAttrs(l.attrs...)
	_ = l.handler.Handle(ctx, record) // As Logger does: nobody could be told.
}
