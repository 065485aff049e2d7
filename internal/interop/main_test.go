package interop

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain fails on a goroutine that outlives the tests.
func TestMain(m *testing.M) {
	flag.Parse()
	// Most of a test is waiting for a socket.
	_ = flag.Set("test.parallel", "16")
	if *attackFile != "" {
		_ = flag.Set("test.parallel", "1000") // all of what waits waits at once
	}
	code := m.Run()
	if leaked := leaks(10 * time.Second); leaked != "" {
		fmt.Fprintf(os.Stderr, "goroutines were left behind:\n\n%s\n", leaked)
		code = 1
	}
	os.Exit(code)
}

// leaks returns the stacks of all goroutines but this one, once they have had
// time to end.
func leaks(wait time.Duration) string {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for giveUp := time.Now().Add(wait); ; <-tick.C {
		stacks := strings.Split(string(allStacks()), "\n\n")
		others := stacks[1:] // the first is the one that asks
		if len(others) == 0 {
			return ""
		}
		if time.Now().After(giveUp) {
			return strings.Join(others, "\n\n")
		}
	}
}

func allStacks() []byte {
	for size := 1 << 20; ; size *= 2 {
		b := make([]byte, size)
		if n := runtime.Stack(b, true); n < size {
			return b[:n]
		}
	}
}
