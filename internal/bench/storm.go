package main

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// What is done at once in the part storm.
const (
	stormClients = 200                    // that chat
	stormEvery   = 100 * time.Millisecond // a message of each
	stormRate    = 2000                   // handshakes a second, all refused
)

// measureStorm is how long good clients wait for their echoes, at the 99th
// percentile, while handshakes from a foreign origin come and are refused. The
// load runs on the same machine, and makes them wait too.
func measureStorm(p *plan) []Row {
	f := newFigure(fmt.Sprintf("p99 of an echo to %d clients, %d handshakes a second refused beside them", stormClients, stormRate), "µs")
	const calm, storm = "wsguard full, no storm", "wsguard full, storm"
	f.beside(storm, calm, 2)
	rate := newFigure("handshakes that were refused in the storm", "a second")
	for round := range p.rounds {
		for _, name := range []string{calm, storm} {
			p.progress("round %d of %d: %s: %s", round+1, p.rounds, f.name, name)
			micros, refused, err := stormLatency(p, name == storm)
			f.add(name, micros, err)
			if name == storm {
				rate.add(name, refused, err)
			}
		}
	}
	return inPart("storm", f.rows(), rate.rows())
}

func stormLatency(p *plan, storm bool) (p99, refused float64, err error) {
	s, err := startServer("full", 0, p)
	if err != nil {
		return 0, 0, err
	}
	defer s.stop()
	all, err := dialAll(s, samples[0].message, stormClients, 1)
	if err != nil {
		return 0, 0, err
	}
	defer all.close()
	var over atomic.Bool
	var count atomic.Int64
	var attackers sync.WaitGroup
	failed := make(chan error, 1)
	if storm {
		const goroutines = 8
		for range goroutines {
			attackers.Go(func() {
				tick := time.NewTicker(goroutines * time.Second / stormRate)
				defer tick.Stop()
				for ; !over.Load(); <-tick.C {
					if err := onOne(s, 1, instead(s, origin, "https://evil.example"), http.StatusForbidden); err != nil {
						select {
						case failed <- err:
						default:
						}
						return
					}
					count.Add(1)
				}
			})
		}
	}
	began := time.Now()
	waits := make([][]time.Duration, len(all))
	err = all.each(func(i int) error {
		<-time.After(stormEvery * time.Duration(i) / stormClients) // not all at once
		tick := time.NewTicker(stormEvery)
		defer tick.Stop()
		for range p.storm {
			sent := time.Now()
			if err := all[i].exchange(1); err != nil {
				return err
			}
			waits[i] = append(waits[i], time.Since(sent))
			<-tick.C
		}
		return nil
	}, len(all))
	took := time.Since(began)
	over.Store(true)
	attackers.Wait()
	select {
	case err = <-failed:
	default:
	}
	if err != nil {
		return 0, 0, err
	}
	sorted := slices.Sorted(slices.Values(slices.Concat(waits...)))
	return float64(sorted[len(sorted)*99/100]) / 1e3, float64(count.Load()) / took.Seconds(), nil
}
