package main

import (
	"strconv"
	"testing"
)

// The page in a real browser: what is typed in one is shown in the other, sign
// by sign; what the guard does is seen; and the page comes back by itself.
func TestBrowser(t *testing.T) {
	c := start(t)
	b := startBrowser(t)
	own, others := b.profile(), b.profile()
	alice, bob := b.open(own, c.base), b.open(others, c.base)
	for user, p := range map[string]*tab{"alice": alice, "bob": bob} {
		p.until(`!document.getElementById('login').hidden`)
		p.eval(`document.getElementById('name').value = %q; document.getElementById('login-form').requestSubmit()`, user)
		p.until(`document.getElementById('status').dataset.state === 'on'`)
		p.eval(`document.querySelector('#suggestions button').click()`)
	}
	for _, p := range []*tab{alice, bob} {
		p.until(`document.querySelectorAll('#people .avatar').length === 2`)
	}

	const typed = `<b>&"'</b> &amp; <img src=x onerror=alert(1)>`
	alice.eval(`document.getElementById('text').value = %s; document.getElementById('text').dispatchEvent(new Event('input'));
		document.getElementById('say-form').requestSubmit()`, strconv.Quote(typed))
	for _, p := range []*tab{alice, bob} {
		p.until(`document.querySelector('.message .text')?.textContent === %s`, strconv.Quote(typed))
	}

	// A second tab of alice's is logged in by the cookie, and a reload too.
	second := b.open(own, c.base)
	second.until(`document.getElementById('me-name').textContent === 'alice'`)

	alice.eval(`document.querySelector('[data-attack=flood]').click()`)
	alice.until(`document.getElementById('banner').textContent.includes('1008')`)
	alice.until(`document.getElementById('events').textContent.includes('message rate')`)
	alice.until(`document.getElementById('status').dataset.state === 'on'`)
	alice.until(`document.querySelectorAll('#people .avatar').length === 2`)

	bob.eval(`document.querySelector('[data-attack=forged]').click()`)
	bob.until(`document.getElementById('events').textContent.includes('token signature')`)

	c.stop()
	bob.until(`document.getElementById('events').textContent.includes('server shutting down')`)

	b.mu.Lock()
	defer b.mu.Unlock()
	for _, problem := range b.problems {
		t.Error(problem)
	}
}
