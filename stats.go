package wsguard

// Stats is what an [Observer] has counted since it was made. Every counter only
// grows, except Connections. Names and labels are bounded whatever peers do.
type Stats struct {
	Endpoint    string `json:"endpoint"`
	Connections int64  `json:"connections"` // open now

	// HandshakesAccepted counts the handshakes that became connections; those
	// that did not are in Refusals.
	HandshakesAccepted int64 `json:"handshakes_accepted"`

	// Refusals counts by [Refusal] Reason. A reason that is not wsguard's own
	// counts as "other" when there are too many of them, or when it is not 1 to
	// 64 visible ASCII characters.
	Refusals map[string]RefusalStats `json:"refusals"`

	// Closes counts by close code: "1000" to "1015", "3000", "3003", "3008" and
	// what the server itself closed with; "app" is a code from 3000 to 4999 that
	// a peer chose, "other" is any other.
	Closes map[string]CloseStats `json:"closes"`

	In  TrafficStats `json:"in"`  // from peers
	Out TrafficStats `json:"out"` // to peers

	// Anomalies says of each signal of [AnomalyEvent] whether it spikes now.
	Anomalies map[string]bool `json:"anomalies"`

	HookPanics int64 `json:"hook_panics"` // of hooks and of the log's handler
}

// CloseStats counts the connections that ended with one code, by who ended them.
type CloseStats struct {
	Peer    int64 `json:"peer"`
	Server  int64 `json:"server"`
	Network int64 `json:"network"`
}

// TrafficStats counts the messages of one direction.
type TrafficStats struct {
	Text   MessageStats `json:"text"`
	Binary MessageStats `json:"binary"`
	Bytes  int64        `json:"bytes"` // payload of those that were accepted
}

// Accepted is how many messages of either type were accepted.
func (t TrafficStats) Accepted() int64 { return t.Text.Accepted + t.Binary.Accepted }

// MessageStats counts the messages of one type.
type MessageStats struct {
	Accepted int64 `json:"accepted"`
	Refused  int64 `json:"refused"` // for which of the reasons, Refusals tells
}

// RefusalStats is what one reason was given for. They overlap, do not add them:
// a message that is refused may be a violation, and close the connection.
type RefusalStats struct {
	Handshakes int64 `json:"handshakes"`
	Messages   int64 `json:"messages"`
	Violations int64 `json:"violations"`
	Closes     int64 `json:"closes"`
}

// Stats returns a snapshot that belongs to the caller. It takes no lock that
// traffic waits for; counters that change meanwhile may be of slightly different
// moments.
func (o *Observer) Stats() Stats {
	closes := o.closes.Load() // before accepted, or Connections might be negative
	accepted := o.accepted.Load()
	s := Stats{
		Endpoint:           o.endpoint,
		Connections:        accepted - closes,
		HandshakesAccepted: accepted,
		Refusals:           make(map[string]RefusalStats),
		Closes:             make(map[string]CloseStats),
		In:                 o.in.stats(),
		Out:                o.out.stats(),
		Anomalies:          make(map[string]bool, len(spikeSignals)),
		HookPanics:         o.panics.Load(),
	}
	for reason, n := range o.refusals.All() {
		r := RefusalStats{n.handshakes.Load(), n.messages.Load(), n.violations.Load(), n.closes.Load()}
		if r != (RefusalStats{}) {
			s.Refusals[reason] = r
		}
	}
	for code, n := range o.codes.All() {
		if n := (CloseStats{n.peer.Load(), n.server.Load(), n.network.Load()}); n != (CloseStats{}) {
			s.Closes[code] = n
		}
	}
	for i, name := range spikeSignals {
		s.Anomalies[name] = o.spikes.Active(i)
	}
	return s
}

func (t *traffic) stats() TrafficStats {
	return TrafficStats{
		Text:   MessageStats{t.text.accepted.Load(), t.text.refused.Load()},
		Binary: MessageStats{t.binary.accepted.Load(), t.binary.refused.Load()},
		Bytes:  t.bytes.Load(),
	}
}
