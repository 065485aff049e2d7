package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard/wsguardtest"
)

// serve echoes, as coder/websocket does with the origin of the profile.
func serve(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{OriginPatterns: []string{"app.example.com"}})
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			typ, data, err := c.Read(context.Background())
			if err != nil || c.Write(context.Background(), typ, data) != nil {
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	return strings.Replace(s.URL, "http", "ws", 1)
}

const profile = `{"origin": "https://app.example.com", "message": "{\"text\":\"hi\"}", "patience": "1s", "flood": "100ms",
	"claims": {"message_bytes": 32768}}`

func TestRun(t *testing.T) {
	url := serve(t)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(file("profile.json"), []byte(profile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"withstood", []string{"-url", url, "-profile", file("profile.json"), "-only", "origin/foreign,wire/unmasked"}, 0, "2 attacks: 2 passed, 0 failed"},
		{"not withstood", []string{"-url", url, "-profile", file("profile.json"), "-only", "origin/rebinding"}, 1, "[  1/  1] origin/rebinding"},
		{"refused client", []string{"-url", url, "-profile", file("other.json"), "-only", "origin"}, 1, "nothing could be judged"},
		{"no URL", nil, 2, "write wsattack -url"},
		{"a stranger's host", []string{"-url", "ws://192.0.2.1/ws"}, 2, "ThisHostIsMine"},
		{"no such attack", []string{"-url", url, "-only", "nothing"}, 2, "no attack and no group"},
		{"no such profile", []string{"-url", url, "-profile", file("none")}, 2, "no such file"},
	} {
		t.Run(row.name, func(t *testing.T) {
			other := strings.Replace(profile, "app.example.com", "other.example.com", 1)
			if err := os.WriteFile(file("other.json"), []byte(other), 0o600); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if code := run(t.Context(), row.args, &out, &out); code != row.code || !strings.Contains(out.String(), row.want) {
				t.Errorf("exit code %d, want %d, and %q in\n%s", code, row.code, row.want, out.String())
			}
		})
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(file("profile.json"), []byte(profile), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	code := run(t.Context(), []string{"-url", serve(t), "-profile", file("profile.json"), "-only", "origin",
		"-json", file("r.json"), "-junit", file("r.xml"), "-html", file("r.html")}, &out, &out)
	if code != 1 {
		t.Fatalf("exit code %d\n%s", code, out.String())
	}
	read := func(name string) []byte {
		data, err := os.ReadFile(file(name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	var report wsguardtest.Report
	if err := json.Unmarshal(read("r.json"), &report); err != nil || len(report.Results) != 14 || report.OK() {
		t.Errorf("%v, %v", err, report.String())
	}
	var suite struct {
		Failures int `xml:"failures,attr"`
		Cases    []struct {
			Failure *struct{} `xml:"failure"`
		} `xml:"testcase"`
	}
	if err := xml.Unmarshal(read("r.xml"), &suite); err != nil || suite.Failures != report.Count(wsguardtest.NotWithstood) || len(suite.Cases) != 14 {
		t.Errorf("%v, %+v", err, suite)
	}
	html := string(read("r.html"))
	if !strings.Contains(html, "origin/rebinding") || strings.Contains(html, "src=") || strings.Contains(html, "<script") {
		t.Error("the page is not what it should be")
	}
}

func TestList(t *testing.T) {
	var out bytes.Buffer
	if code := run(t.Context(), []string{"-list"}, &out, &out); code != 0 {
		t.Fatal(code)
	}
	if names := strings.Fields(out.String()); len(names) < 60 || names[0] != "transport/plaintext" || len(names) != strings.Count(out.String(), "\n") {
		t.Errorf("%d names", len(names))
	}
}
