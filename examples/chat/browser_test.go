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
		p.login(user)
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
	bob.until(`Number(document.getElementById('stat-messages').textContent) > 0`)

	c.stop()
	bob.until(`document.getElementById('events').textContent.includes('server shutting down')`)
	b.wantNoProblems()
}

// login types a name into the form, and waits for the connection.
func (p *tab) login(user string) {
	p.b.t.Helper()
	p.until(`!document.getElementById('login').hidden`)
	p.eval(`document.getElementById('name').value = %q; document.getElementById('login-form').requestSubmit()`, user)
	p.until(`document.getElementById('status').dataset.state === 'on'`)
}

func (b *browser) wantNoProblems() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, problem := range b.problems {
		b.t.Error(problem)
	}
}

// A page connects with a ticket, and outlives its tokens on one connection
// without anybody noticing. R11, R32
func TestBrowserRenews(t *testing.T) {
	c := start(t, "-token-ttl", "4s")
	b := startBrowser(t)
	p := b.open(b.profile(), c.base)
	p.login("alice")
	p.until(`state.socket.url.includes('/ws?ticket=') && state.socket.protocol === 'chat.v1'`)
	p.until(`[...document.querySelectorAll('#events li')].filter((e) => e.textContent.includes('on the same connection')).length === 3`)
	if got := p.eval(`[...document.querySelectorAll('#events code')].filter((e) => e.textContent === 'connected').length`); got != "1" {
		t.Errorf("the page has connected %s times", got)
	}
	p.eval(`document.querySelector('#suggestions button').click()`)
	p.until(`document.querySelectorAll('#people .avatar').length === 1`)
	b.wantNoProblems()
}

// Whoever is signed out from elsewhere, or logs out, sees why, and stays out
// until they log in again. R29, R30
func TestBrowserSignsOut(t *testing.T) {
	c := start(t)
	b := startBrowser(t)
	home, office := b.profile(), b.profile()
	here, there, second := b.open(home, c.base), b.open(office, c.base), (*tab)(nil)
	here.login("alice")
	there.login("alice")
	second = b.open(office, c.base) // another tab there
	second.until(`document.getElementById('status').dataset.state === 'on'`)

	here.eval(`document.getElementById('elsewhere').click()`)
	here.until(`document.getElementById('events').textContent.includes('1 elsewhere was signed out')`)
	for _, p := range []*tab{there, second} {
		p.until(`!document.getElementById('login').hidden && document.getElementById('login-note').textContent === 'You were signed out elsewhere.'`)
		p.until(`document.getElementById('app').hidden && state.socket === null`)
	}
	here.until(`document.getElementById('stat-connections').textContent === '1'`)
	there.eval(`connect()`) // as if a timer had been left behind
	there.until(`document.getElementById('login-note').textContent === 'Your session has ended. Log in again.'`)

	// The same browser's other tab, and the connection, go with a log-out.
	there.login("alice")
	second = b.open(office, c.base)
	second.until(`document.getElementById('status').dataset.state === 'on'`)
	there.eval(`document.getElementById('logout').click()`)
	for _, p := range []*tab{there, second} {
		p.until(`!document.getElementById('login').hidden && document.getElementById('login-note').textContent === 'You have logged out.'`)
	}
	here.until(`document.getElementById('status').dataset.state === 'on'`)
	b.wantNoProblems()
}
