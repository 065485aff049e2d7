package prometheus_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wsguard/wsguard"
	adapter "github.com/wsguard/wsguard/adapters/prometheus"
)

func ExampleNewDurations() {
	durations := adapter.NewDurations("chat")
	observer := wsguard.NewObserver("chat", nil, durations.Hooks())
	registry := prometheus.NewRegistry()
	registry.MustRegister(durations, adapter.NewCollector(observer))
	families, err := registry.Gather()
	fmt.Println(len(families) > 0, err)
	// Output: true <nil>
}

func TestDurations(t *testing.T) {
	chat, news := adapter.NewDurations("chat"), adapter.NewDurations("news")
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(chat, news)
	h := chat.Hooks()
	h.HandshakeDone(context.Background(), wsguard.HandshakeEvent{Took: 2 * time.Second})
	h.ConnClosed(context.Background(), wsguard.CloseEvent{Duration: time.Hour})
	families, err := registry.Gather()
	if err != nil || len(families) != 2 {
		t.Fatal(families, err)
	}
	for i, want := range []float64{3600, 2} {
		if got := families[i].GetMetric()[0].GetHistogram().GetSampleSum(); got != want {
			t.Errorf("%s: sum %v, want %v", families[i].GetName(), got, want)
		}
	}
	var none *adapter.Durations
	if none.Hooks().HandshakeDone != nil {
		t.Error("nil Durations are not silent")
	}
}
