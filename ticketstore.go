package wsguard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wsguard/wsguard/internal/once"
)

// ErrTicketUnknown is what a [TicketStore] returns for a ticket that it does not
// have: it was never there, is spent, or has expired.
var ErrTicketUnknown = errors.New("wsguard: ticket unknown")

// A TicketStore keeps tickets until they are spent or expire. It knows them by
// their SHA-256 alone, so that nobody who can read it can spend them. Several
// goroutines call it at once.
//
// An error other than ErrTicketUnknown, a panic, and no answer within
// TicketOptions.StoreTimeout refuse the request.
type TicketStore interface {
	// Put keeps a payload for ttl. A store that is full returns an error, and
	// pushes nothing out that has not expired.
	Put(ctx context.Context, hash [32]byte, payload []byte, ttl time.Duration) error
	// Redeem removes a payload and returns it, atomically: of any number of
	// callers at most one gets it, once.
	Redeem(ctx context.Context, hash [32]byte) ([]byte, error)
}

// NewMemoryTickets returns a TicketStore of this process, for at most n tickets
// of 4 KiB each on average. It panics if n is below 1.
func NewMemoryTickets(n int) TicketStore {
	if n < 1 {
		panic(fmt.Sprintf("wsguard: NewMemoryTickets: a store of %d keeps nothing: write NewMemoryTickets(10000)", n))
	}
	n = min(n, 1<<24)
	return memoryTickets{once.New(n, max(n*4<<10, maxTicket))}
}

type memoryTickets struct{ table *once.Table }

func (m memoryTickets) Put(_ context.Context, hash [32]byte, payload []byte, ttl time.Duration) error {
	return m.table.Put(hash, payload, ttl)
}

func (m memoryTickets) Redeem(_ context.Context, hash [32]byte) ([]byte, error) {
	payload, err := m.table.Take(hash)
	if err != nil {
		return nil, ErrTicketUnknown
	}
	return payload, nil
}

// maxStoreCalls is how many calls of a store may be under way, so that one that
// hangs costs no more goroutines than that.
const maxStoreCalls = 64

// boundedStore calls a store and comes back in time, whatever the store does.
type boundedStore struct {
	store   TicketStore
	timeout time.Duration
	calls   chan struct{} // nil for a store that cannot hang
}

func newBoundedStore(store TicketStore, timeout time.Duration) *boundedStore {
	b := &boundedStore{store: store, timeout: timeout}
	if _, ours := store.(memoryTickets); !ours {
		b.calls = make(chan struct{}, maxStoreCalls)
	}
	return b
}

func (b *boundedStore) Put(ctx context.Context, hash [32]byte, payload []byte, ttl time.Duration) error {
	_, err := b.call(ctx, func(ctx context.Context) ([]byte, error) { return nil, b.store.Put(ctx, hash, payload, ttl) })
	return err
}

func (b *boundedStore) Redeem(ctx context.Context, hash [32]byte) ([]byte, error) {
	return b.call(ctx, func(ctx context.Context) ([]byte, error) { return b.store.Redeem(ctx, hash) })
}

func (b *boundedStore) call(ctx context.Context, f func(context.Context) ([]byte, error)) ([]byte, error) {
	if b.calls == nil {
		return f(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	select {
	case b.calls <- struct{}{}:
	case <-ctx.Done():
		return nil, errors.New("all calls of the store are taken")
	}
	type answer struct {
		payload []byte
		err     error
	}
	answers := make(chan answer, 1)
	go func() {
		var a answer
		defer func() {
			if recover() != nil { // its text may hold anything
				a = answer{err: errors.New("the store panicked")}
			}
			answers <- a
			<-b.calls
		}()
		a.payload, a.err = f(ctx)
	}()
	select {
	case a := <-answers:
		return a.payload, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
