// Package wsguardtest attacks a WebSocket endpoint in a unit test. It works for
// any endpoint, guarded by wsguard or not.
//
// [Attack] runs every attack of [Attacks] against an http.Handler or a URL. A
// [Profile] says what a good client does, and which limits the endpoint claims;
// what cannot be judged with what the profile says is reported as not judged,
// never as passed. [Run] does the same outside of a test and returns a [Report];
// the command wsattack prints it.
//
// The attacks come from a small client of the package's own that writes raw
// frames, since a real library refuses to misbehave. They go to loopback
// addresses alone, unless [Target] says that another host is the caller's.
package wsguardtest
