package prometheus

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wsguard/wsguard"
)

// Durations is a collector of how long handshakes and connections of one
// endpoint take, in seconds. It is made by [NewDurations] and safe for
// concurrent use. R54.
type Durations struct{ handshake, connection prometheus.Histogram }

// NewDurations returns Durations for the endpoint of that name. Give its Hooks
// to [wsguard.NewObserver], and register it with a registry of your choice. It
// panics if endpoint is empty.
func NewDurations(endpoint string) *Durations {
	if endpoint == "" {
		panic(`prometheus: NewDurations: endpoint is empty: write the name given to NewObserver, such as NewDurations("chat")`)
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: "wsguard_" + name, Help: help, Buckets: buckets,
			ConstLabels: prometheus.Labels{"endpoint": endpoint}})
	}
	return &Durations{
		histogram("handshake_duration_seconds", "Time that a handshake took, accepted or refused.", prometheus.DefBuckets),
		histogram("connection_duration_seconds", "Time that a connection was open.",
			[]float64{.1, 1, 10, 60, 300, 900, 3600, 14400, 86400}),
	}
}

// Hooks returns what feeds d. Nothing is called for messages. A nil d has
// silent hooks.
func (d *Durations) Hooks() wsguard.Hooks {
	if d == nil {
		return wsguard.Hooks{}
	}
	return wsguard.Hooks{
		HandshakeDone: func(_ context.Context, e wsguard.HandshakeEvent) { d.handshake.Observe(e.Took.Seconds()) },
		ConnClosed:    func(_ context.Context, e wsguard.CloseEvent) { d.connection.Observe(e.Duration.Seconds()) },
	}
}

// Describe implements [prometheus.Collector].
func (d *Durations) Describe(ch chan<- *prometheus.Desc) {
	d.handshake.Describe(ch)
	d.connection.Describe(ch)
}

// Collect implements [prometheus.Collector].
func (d *Durations) Collect(ch chan<- prometheus.Metric) {
	d.handshake.Collect(ch)
	d.connection.Collect(ch)
}
