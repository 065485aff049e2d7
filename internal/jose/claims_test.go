package jose_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/wsguard/wsguard/internal/jose"
)

var (
	now   = time.Unix(1_700_000_000, 0)
	rules = jose.Rules{Issuer: "https://id.example", Audience: []string{"chat", "api"}, Leeway: 30 * time.Second}
)

// claimsRows are payloads and why they are refused, judged by rules at now. The
// placeholders spare the rows what does not matter to them.
func claimsRows() []struct {
	name, payload string
	want          error
} {
	const who = `"iss":"https://id.example","aud":"chat","sub":"ada"`
	const whole = who + `,"exp":1700000060`
	with := func(members string) string { return "{" + whole + "," + members + "}" }
	exp := func(value string) string { return "{" + who + `,"exp":` + value + "}" }
	iss := func(value string) string { return `{"iss":` + value + `,"aud":"chat","sub":"ada","exp":1700000060}` }
	aud := func(value string) string {
		return `{"iss":"https://id.example","aud":` + value + `,"sub":"ada","exp":1700000060}`
	}
	sub := func(value string) string {
		return `{"iss":"https://id.example","aud":"chat","sub":` + value + `,"exp":1700000060}`
	}
	return []struct {
		name, payload string
		want          error
	}{
		{"least", "{" + whole + "}", nil},
		{"white space", " { " + whole + " }\n", nil},
		{"nested to the bound", with(`"x":` + strings.Repeat("[", 15) + strings.Repeat("]", 15)), nil},

		{"absent", ``, jose.ErrClaims},
		{"no JSON", `sub=ada`, jose.ErrClaims},
		{"a nested token", `eyJhbGciOiJub25lIn0.e30.`, jose.ErrClaims},
		{"a nested token as a string", `"eyJhbGciOiJub25lIn0.e30."`, jose.ErrClaims},
		{"null", `null`, jose.ErrClaims},
		{"array", `[{` + whole + `}]`, jose.ErrClaims},
		{"two objects", `{` + whole + `}{}`, jose.ErrClaims},
		{"comma at the end", `{` + whole + `,}`, jose.ErrClaims},
		{"not UTF-8", "{" + whole + ",\"x\":\"\xff\"}", jose.ErrClaims},
		{"claim twice", with(`"sub":"eve"`), jose.ErrClaims},
		{"exp twice", with(`"exp":1800000000`), jose.ErrClaims},
		{"claim twice, once escaped", with(`"s\u0075b":"eve"`), jose.ErrClaims},
		{"member twice further in", with(`"x":[{"a":1,"a":1}]`), jose.ErrClaims},
		{"nested too deeply", with(`"x":` + strings.Repeat("[", 16) + strings.Repeat("]", 16)), jose.ErrClaims},

		{"iss missing", `{"aud":"chat","sub":"ada","exp":1700000060}`, jose.ErrIssuer},
		{"iss null", iss(`null`), jose.ErrIssuer},
		{"iss empty", iss(`""`), jose.ErrIssuer},
		{"iss another", iss(`"https://evil.example"`), jose.ErrIssuer},
		{"iss with a slash", iss(`"https://id.example/"`), jose.ErrIssuer},
		{"iss in other case", iss(`"https://ID.example"`), jose.ErrIssuer},
		{"iss an array", iss(`["https://id.example"]`), jose.ErrIssuer},
		{"iss under another name", `{"ISS":"https://id.example","aud":"chat","sub":"ada","exp":1700000060}`, jose.ErrIssuer},

		{"aud the second that is allowed", aud(`"api"`), nil},
		{"aud one of several", aud(`["mail","chat"]`), nil},
		{"aud missing", `{"iss":"https://id.example","sub":"ada","exp":1700000060}`, jose.ErrAudience},
		{"aud null", aud(`null`), jose.ErrAudience},
		{"aud empty", aud(`""`), jose.ErrAudience},
		{"aud empty array", aud(`[]`), jose.ErrAudience},
		{"aud another", aud(`"mail"`), jose.ErrAudience},
		{"aud others", aud(`["mail","chat2"]`), jose.ErrAudience},
		{"aud in other case", aud(`"Chat"`), jose.ErrAudience},
		{"aud partly no strings", aud(`["chat",1]`), jose.ErrAudience},
		{"aud an object", aud(`{"chat":true}`), jose.ErrAudience},

		{"sub missing", `{"iss":"https://id.example","aud":"chat","exp":1700000060}`, jose.ErrSubject},
		{"sub null", sub(`null`), jose.ErrSubject},
		{"sub empty", sub(`""`), jose.ErrSubject},
		{"sub a number", sub(`7`), jose.ErrSubject},
		{"sub half of a pair", sub(`"\ud800"`), jose.ErrSubject},

		{"exp missing", `{` + who + `}`, jose.ErrClaims},
		{"exp null", exp(`null`), jose.ErrClaims},
		{"exp 0", exp(`0`), jose.ErrClaims},
		{"exp -0", exp(`-0`), jose.ErrClaims},
		{"exp 0.5", exp(`0.5`), jose.ErrClaims},
		{"exp tiny", exp(`1e-999`), jose.ErrClaims},
		{"exp -1", exp(`-1`), jose.ErrClaims},
		{"exp a string", exp(`"1700000060"`), jose.ErrClaims},
		{"exp in milliseconds", exp(`1700000060000`), jose.ErrClaims},
		{"exp after the year 9999", exp(`253402300800`), jose.ErrClaims},
		{"exp huge", exp(`1e400`), jose.ErrClaims},
		{"exp an array", exp(`[1700000060]`), jose.ErrClaims},
		{"exp true", exp(`true`), jose.ErrClaims},
		{"exp 1", exp(`1`), jose.ErrExpired},
		{"exp long past", exp(`1600000000`), jose.ErrExpired},
		{"exp at the end of the leeway", exp(`1699999970`), jose.ErrExpired},
		{"exp within the leeway", exp(`1699999971`), nil},
		{"exp with a fraction", exp(`1700000060.5`), nil},
		{"exp with an exponent", exp(`1.70000006e9`), nil},
		{"exp in the year 9999", exp(`253402300799`), nil},

		{"nbf past", with(`"nbf":1600000000`), nil},
		{"nbf 0", with(`"nbf":0`), nil},
		{"nbf within the leeway", with(`"nbf":1700000030`), nil},
		{"nbf ahead", with(`"nbf":1700000031`), jose.ErrNotYetValid},
		{"nbf a string", with(`"nbf":"1600000000"`), jose.ErrClaims},
		{"nbf null", with(`"nbf":null`), jose.ErrClaims},
		{"iat past", with(`"iat":1600000000`), nil},
		{"iat within the leeway", with(`"iat":1700000030`), nil},
		{"iat ahead", with(`"iat":1700000031`), jose.ErrNotYetValid},
		{"iat in milliseconds", with(`"iat":1700000000000`), jose.ErrClaims},
		{"iat a string", with(`"iat":"now"`), jose.ErrClaims},
		{"iat negative", with(`"iat":-1`), jose.ErrClaims},

		{"jti", with(`"jti":"t1"`), nil},
		{"jti empty", with(`"jti":""`), jose.ErrClaims},
		{"jti null", with(`"jti":null`), jose.ErrClaims},
		{"jti a number", with(`"jti":1`), jose.ErrClaims},
		{"scope an array", with(`"scope":["read"]`), jose.ErrClaims},
		{"scope null", with(`"scope":null`), jose.ErrClaims},
		{"scp a number", with(`"scp":1`), jose.ErrClaims},
		{"scp partly no strings", with(`"scp":["read",1]`), jose.ErrClaims},
	}
}

// R15, R19, R21, R22, R24
func TestRules(t *testing.T) {
	for _, row := range claimsRows() {
		t.Run(row.name, func(t *testing.T) {
			got, err := rules.Check([]byte(row.payload), now)
			if !errors.Is(err, row.want) {
				t.Fatalf("got %v, want %v", err, row.want)
			}
			if err != nil && !reflect.DeepEqual(got, jose.Claims{}) {
				t.Errorf("claims beside the error: %v", got)
			}
		})
	}
}

// The zero Rules must not be met by a token that is empty in the same places.
func TestZeroRules(t *testing.T) {
	for _, payload := range []string{
		`{"iss":"","aud":"","sub":"ada","exp":1700000060}`,
		`{"iss":"x","aud":[],"sub":"ada","exp":1700000060}`,
	} {
		if _, err := (jose.Rules{}).Check([]byte(payload), now); !errors.Is(err, jose.ErrIssuer) {
			t.Errorf("%s: %v", payload, err)
		}
	}
	empty := jose.Rules{Issuer: "x", Audience: []string{""}}
	if _, err := empty.Check([]byte(`{"iss":"x","aud":"","sub":"ada","exp":1700000060}`), now); !errors.Is(err, jose.ErrAudience) {
		t.Errorf("empty audience: %v", err)
	}
}

// R19
func TestLifetime(t *testing.T) {
	const who = `{"iss":"https://id.example","aud":"chat","sub":"ada"`
	bounded, open := rules, rules
	bounded.MaxLifetime = time.Hour
	open.AllowNoExpiry = true
	rows := []struct {
		name    string
		rules   jose.Rules
		payload string
		want    error
	}{
		{"no bound", rules, who + `,"exp":1900000000}`, nil},
		{"an hour from the issue", bounded, who + `,"iat":1699999000,"exp":1700002600}`, nil},
		{"a second more from the issue", bounded, who + `,"iat":1699999000,"exp":1700002601}`, jose.ErrLifetime},
		{"an hour from now", bounded, who + `,"exp":1700003600}`, nil},
		{"a second more from now", bounded, who + `,"exp":1700003601}`, jose.ErrLifetime},
		{"longer than any duration", bounded, who + `,"iat":0,"exp":253402300799}`, jose.ErrLifetime},
		{"no expiry", open, who + `}`, nil},
		{"no expiry, allowed to lack one, but wrong", open, who + `,"exp":0}`, jose.ErrClaims},
		{"no expiry, allowed to lack one, but null", open, who + `,"exp":null}`, jose.ErrClaims},
		{"no expiry, allowed to lack one, but past", open, who + `,"exp":1600000000}`, jose.ErrExpired},
		{"no expiry, not yet valid", open, who + `,"nbf":1800000000}`, jose.ErrNotYetValid},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			got, err := row.rules.Check([]byte(row.payload), now)
			if !errors.Is(err, row.want) {
				t.Fatalf("got %v, want %v", err, row.want)
			}
			if row.name == "no expiry" && !got.Expires.IsZero() {
				t.Errorf("expires %v", got.Expires)
			}
		})
	}
}

func TestClaims(t *testing.T) {
	const payload = `{"iss":"https://id.example","aud":["chat"],"sub":"ada","exp":1700000060.25,"jti":"t1","scope":"read  write","scp":["no"],"tenant":9007199254740993}`
	got, err := rules.Check([]byte(payload), now)
	if err != nil {
		t.Fatal(err)
	}
	if got.Issuer != "https://id.example" || got.Subject != "ada" || got.TokenID != "t1" {
		t.Errorf("got %+v", got)
	}
	if want := time.Unix(1_700_000_090, 25e7); !got.Expires.Equal(want) {
		t.Errorf("expires %v, want %v: exp and the leeway", got.Expires, want)
	}
	if tenant := got.All["tenant"]; tenant != json.Number("9007199254740993") {
		t.Errorf("a large number became %v", tenant)
	}
	if len(got.All) != 8 {
		t.Errorf("%d claims", len(got.All))
	}
}

func TestScopes(t *testing.T) {
	rows := []struct {
		members string
		want    []string
	}{
		{`"x":0`, nil},
		{`"scope":""`, []string{}},
		{`"scope":"read"`, []string{"read"}},
		{`"scope":" read  write "`, []string{"read", "write"}},
		{`"scope":"read\twrite"`, []string{"read\twrite"}},
		{`"scp":"read write"`, []string{"read", "write"}},
		{`"scp":["read","write"]`, []string{"read", "write"}},
		{`"scp":[]`, []string{}},
		{`"scope":"read","scp":["write"]`, []string{"read"}},
	}
	for _, row := range rows {
		payload := `{"iss":"https://id.example","aud":"chat","sub":"ada","exp":1700000060,` + row.members + `}`
		got, err := rules.Check([]byte(payload), now)
		if err != nil || !reflect.DeepEqual(got.Scopes, row.want) {
			t.Errorf("%s: %q, %v, want %q", row.members, got.Scopes, err, row.want)
		}
	}
}

// FuzzRules holds that no payload makes a panic, and that what is accepted has
// what the rules ask for when the standard library reads it.
func FuzzRules(f *testing.F) {
	for _, row := range claimsRows() {
		f.Add([]byte(row.payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		got, err := rules.Check(payload, now)
		if err != nil {
			return
		}
		var plain map[string]any
		if err := json.Unmarshal(payload, &plain); err != nil {
			t.Fatalf("accepted what is no JSON object: %v", err)
		}
		if plain["iss"] != rules.Issuer || plain["sub"] != got.Subject || got.Subject == "" || len(plain) != len(got.All) {
			t.Fatalf("read %v as %+v", plain, got)
		}
		if exp, _ := plain["exp"].(float64); exp < 1 || !got.Expires.After(now) {
			t.Fatalf("exp %v, expires %v", plain["exp"], got.Expires)
		}
	})
}
