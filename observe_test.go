package wsguard_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"

	"github.com/wsguard/wsguard"
)

func ExampleNewObserver() {
	observer := wsguard.NewObserver("chat",
		slog.New(slog.NewJSONHandler(os.Stderr, nil)), // the audit log
		wsguard.Hooks{
			Anomaly: func(_ context.Context, e wsguard.AnomalyEvent) {
				if e.Active {
					fmt.Printf("%s: %v %s in 10 s instead of %v\n", e.Endpoint, e.Observed, e.Signal, e.Expected)
				}
			},
		})
	fmt.Println(observer.Stats().Endpoint)
	// Output: chat
}

func ExampleJoinHooks() {
	log := wsguard.Hooks{
		HandshakeDone: func(_ context.Context, e wsguard.HandshakeEvent) {
			fmt.Println("logged:", e.Conn.Endpoint)
		},
	}
	count := wsguard.Hooks{
		HandshakeDone: func(_ context.Context, e wsguard.HandshakeEvent) {
			fmt.Println("counted: refused is", e.Refusal != nil)
		},
	}
	both := wsguard.JoinHooks(log, count)
	both.HandshakeDone(context.Background(), wsguard.HandshakeEvent{Conn: wsguard.ConnInfo{Endpoint: "chat"}})
	fmt.Println("messages are observed:", both.Message != nil)
	// Output:
	// logged: chat
	// counted: refused is false
	// messages are observed: false
}

func ExampleObserver_Stats() {
	observer := wsguard.NewObserver("chat", nil)
	// Serve it to operators, not to everybody.
	page, err := json.MarshalIndent(observer.Stats(), "", "  ")
	if err != nil {
		panic(err)
	}
	fmt.Println(string(page))
	// Output:
	// {
	//   "endpoint": "chat",
	//   "connections": 0,
	//   "handshakes_accepted": 0,
	//   "refusals": {},
	//   "closes": {},
	//   "in": {
	//     "text": {
	//       "accepted": 0,
	//       "refused": 0
	//     },
	//     "binary": {
	//       "accepted": 0,
	//       "refused": 0
	//     },
	//     "bytes": 0
	//   },
	//   "out": {
	//     "text": {
	//       "accepted": 0,
	//       "refused": 0
	//     },
	//     "binary": {
	//       "accepted": 0,
	//       "refused": 0
	//     },
	//     "bytes": 0
	//   },
	//   "anomalies": {
	//     "closes": false,
	//     "handshakes": false,
	//     "messages": false,
	//     "refusals": false
	//   },
	//   "hook_panics": 0
	// }
}
