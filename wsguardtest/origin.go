package wsguardtest

import "net/url"

var originVectors = []Vector{
	originRow("foreign", "R05", "A page elsewhere opens the connection with the user's cookies.",
		func(*url.URL) []string { return []string{"https://evil.example"} }),
	originRow("null", "R05", "The origin is null, as that of a sandboxed frame is.",
		func(*url.URL) []string { return []string{"null"} }),
	originRow("missing", "R05", "There is no origin, which lets a program in that no page would be.",
		func(*url.URL) []string { return nil }),
	originRow("empty", "R05", "The origin is empty.",
		func(*url.URL) []string { return []string{""} }),
	originRow("prefix", "R05", "The origin begins as the good one does, and ends elsewhere.",
		func(u *url.URL) []string { return []string{u.Scheme + "://" + u.Hostname() + ".evil.example"} }),
	originRow("suffix", "R05", "The origin ends as the good one does, and begins otherwise.",
		func(u *url.URL) []string { return []string{u.Scheme + "://evil" + u.Host} }),
	originRow("subdomain", "R05", "The origin is below the good one, where an attacker may have got a name.",
		func(u *url.URL) []string { return []string{u.Scheme + "://evil." + u.Host} }),
	originRow("dot-as-wildcard", "R05", "The origin has a letter where the good one has a dot, which a careless pattern takes.",
		func(u *url.URL) []string { return []string{u.Scheme + "://" + firstDot(u.Host)} }),
	originRow("scheme", "R05", "The origin is the good one without TLS, or with another scheme.",
		func(u *url.URL) []string {
			if u.Scheme == "https" {
				return []string{"http://" + u.Host}
			}
			return []string{"ftp://" + u.Host}
		}),
	originRow("port", "R05", "The origin has another port.",
		func(u *url.URL) []string { return []string{u.Scheme + "://" + u.Hostname() + ":9"} }),
	originRow("userinfo", "R05", "The good origin stands before an @, where it is a user's name.",
		func(u *url.URL) []string { return []string{u.Scheme + "://" + u.Host + "@evil.example"} }),
	originRow("two-headers", "R05", "There are two origins, the good one first.",
		func(u *url.URL) []string { return []string{u.String(), "https://evil.example"} }),
	originRow("list", "R05", "The header is a list of origins, the good one first.",
		func(u *url.URL) []string { return []string{u.String() + " https://evil.example"} }),
	{Name: "origin/rebinding", Requirements: []string{"R05"}, CWE: 350,
		What: "A foreign name has been rebound to the endpoint's address: Host and Origin are both the attacker's.",
		run: changed(func(_ *try, r *request) {
			r.set("Host", "evil.example").set("Origin", "http://evil.example")
		})},
}

func originRow(name, requirement, what string, of func(*url.URL) []string) Vector {
	return Vector{Name: "origin/" + name, Requirements: []string{requirement, "R06"}, CWE: 1385, What: what,
		run: func(a *try) outcome {
			if a.p.Origin == "" {
				return unjudged("the profile says no origin")
			}
			u, err := url.Parse(a.p.Origin)
			if err != nil {
				return unjudged("the profile's origin cannot be read")
			}
			return changed(func(_ *try, r *request) { r.set("Origin", of(u)...) })(a)
		}}
}

func firstDot(host string) string {
	b := []byte(host)
	for i, c := range b {
		if c == '.' {
			b[i] = 'x'
			return string(b)
		}
	}
	return host + "x"
}
