package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// inMemoryIdlers opens so many connections of the full chain in memory, each of
// which is read from and pinged every 30 s, before the server begins.
func inMemoryIdlers(n int) func(*issuer, sample) (http.Handler, error) {
	return func(i *issuer, s sample) (http.Handler, error) {
		verifier, err := i.verifier()
		if err != nil {
			return nil, err
		}
		token, err := i.token()
		if err != nil {
			return nil, err
		}
		l := generous(s.schema)
		l.firstMessage, l.idle, l.revalidate = time.Hour, time.Hour, time.Hour // nobody says anything, and pings are all that is measured
		open := inMemory(fullChain(observer(), verifier, l), token)
		var opened sync.WaitGroup
		failed := make(chan error, 1)
		const goroutines = 8
		for g := range goroutines {
			opened.Go(func() {
				for k := g; k < n; k += goroutines {
					c, err := open(newIdler())
					if err != nil {
						select {
						case failed <- err:
						default:
						}
						return
					}
					go func() { _, _, _ = c.Read(context.Background()) }()
				}
			})
		}
		opened.Wait()
		select {
		case err := <-failed:
			return nil, err
		default:
			return http.NotFoundHandler(), nil
		}
	}
}

// measureKeepAlive is the share of one core that a process takes whose
// connections are idle, once the first pings have gone out: pings, pongs, the
// timers, and the peers in memory too, which are not told apart.
func measureKeepAlive(p *plan) []Row {
	f := newFigure(fmt.Sprintf("keep-alive of %d idle connections in memory, a ping every 30 s each, with their peers", p.idlers), "share of a core")
	f.target[title("full")] = &target{Limit: 0.05}
	name := "idlers"
	if p.idlers < idlers {
		name = "few-idlers"
	}
	p.progress("%s", f.name)
	share, err := keepAliveCPU(p, name)
	f.add(title("full"), share, err)
	return inPart("keepalive", f.rows())
}

// How many connections the two contenders hold.
const idlers, fewIdlers = 100_000, 1_000

func keepAliveCPU(p *plan, name string) (share float64, err error) {
	s, err := startServer(name, 0, p)
	if err != nil {
		return 0, err
	}
	defer s.stop()
	if err := s.freeMemory(); err != nil { // what opening them has left behind
		return 0, err
	}
	<-time.After(p.settle)
	before, err := s.usage()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	<-time.After(p.watch)
	after, err := s.usage()
	if err != nil {
		return 0, err
	}
	if after.goroutines < p.idlers {
		return 0, fmt.Errorf("%d goroutines are left of %d connections", after.goroutines, p.idlers)
	}
	return float64(after.cpu-before.cpu) / float64(time.Since(began)), nil
}
