package wsguard_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
)

// answer is the status with which a handler answers a handshake that has some
// more headers, given as names and values.
func answer(h http.Handler, headers ...string) string {
	r := httptest.NewRequest(http.MethodGet, "http://chat.example.com/ws", nil)
	r.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="},
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return fmt.Sprintf("%d %s", w.Code, http.StatusText(w.Code))
}
