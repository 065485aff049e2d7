// Package prometheus shows what wsguard's observers count to Prometheus.
package prometheus

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wsguard/wsguard"
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("wsguard_"+name, help, append([]string{"endpoint"}, labels...), nil)
}

var (
	connections = describe("connections", "Connections that are open now.")
	handshakes  = describe("handshakes_total", "Handshakes that ended, by result: accepted, or the reason of the refusal.", "result")
	closes      = describe("closes_total", "Connections that ended, by close code and who closed: the peer, the server, or the network.", "code", "initiator")
	messages    = describe("messages_total", "Messages, by direction, type and result: accepted or refused.", "direction", "type", "result")
	bytes       = describe("message_bytes_total", "Payload bytes of accepted messages.", "direction")
	refused     = describe("messages_refused_total", "Refused messages of either direction, by reason.", "reason")
	violations  = describe("violations_total", "What open connections were refused, by reason.", "reason")
	anomaly     = describe("anomaly_active", "1 while a signal spikes.", "signal")
	panics      = describe("hook_panics_total", "Panics of hooks and of the log.")
)

type collector []*wsguard.Observer

// NewCollector returns a collector that reads the counters of observers when it
// is scraped, and costs traffic nothing. Register it with a registry of your
// choice. The number of its series is bounded whatever peers do. It is safe for
// concurrent use, and panics if an observer is nil or two share an endpoint's
// name. R54.
func NewCollector(observers ...*wsguard.Observer) prometheus.Collector {
	seen := make(map[string]bool)
	for i, o := range observers {
		if o == nil {
			panic(fmt.Sprintf("prometheus: NewCollector: observer %d is nil: leave it out", i+1))
		}
		name := o.Stats().Endpoint
		if seen[name] {
			panic(fmt.Sprintf("prometheus: NewCollector: two observers are called %q: give each endpoint a name of its own", name))
		}
		seen[name] = true
	}
	return append(collector(nil), observers...)
}

// Describe implements [prometheus.Collector].
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{connections, handshakes, closes, messages, bytes, refused, violations, anomaly, panics} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c collector) Collect(ch chan<- prometheus.Metric) {
	for _, o := range c {
		collect(ch, o.Stats())
	}
}

func collect(ch chan<- prometheus.Metric, s wsguard.Stats) {
	count := func(d *prometheus.Desc, n int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), append([]string{s.Endpoint}, labels...)...)
	}
	gauge := func(d *prometheus.Desc, n int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), append([]string{s.Endpoint}, labels...)...)
	}
	gauge(connections, s.Connections)
	// A custom verifier may give this name for a reason: as a series of its own it
	// would fail the scrape.
	if n, ok := s.Refusals["accepted"]; ok {
		other := s.Refusals["other"]
		other.Handshakes += n.Handshakes
		other.Messages += n.Messages
		other.Violations += n.Violations
		s.Refusals["other"] = other
		delete(s.Refusals, "accepted")
	}
	for reason, n := range s.Refusals {
		count(handshakes, n.Handshakes, reason)
		count(refused, n.Messages, reason)
		count(violations, n.Violations, reason)
	}
	count(handshakes, s.HandshakesAccepted, "accepted")
	for code, n := range s.Closes {
		count(closes, n.Peer, code, "peer")
		count(closes, n.Server, code, "server")
		count(closes, n.Network, code, "network")
	}
	for direction, t := range map[string]wsguard.TrafficStats{"in": s.In, "out": s.Out} {
		for kind, n := range map[string]wsguard.MessageStats{"text": t.Text, "binary": t.Binary} {
			count(messages, n.Accepted, direction, kind, "accepted")
			count(messages, n.Refused, direction, kind, "refused")
		}
		count(bytes, t.Bytes, direction)
	}
	for signal, active := range s.Anomalies {
		n := int64(0)
		if active {
			n = 1
		}
		gauge(anomaly, n, signal)
	}
	count(panics, s.HookPanics)
}
