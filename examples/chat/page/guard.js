'use strict';

// What the guard does, and what an attacker would try.

async function pollStats() {
  let now;
  try {
    now = await (await fetch('/stats')).json();
  } catch {
    return;
  }
  const before = state.stats;
  state.stats = now;
  const sum = (s) => Object.values(s.refusals).reduce((n, r) => n + r.handshakes + r.violations, 0);
  $('stat-connections').textContent = now.connections;
  const messages = (way) => way.text.accepted + way.binary.accepted;
  $('stat-messages').textContent = messages(now.in) + messages(now.out);
  $('stat-refused').textContent = sum(now);
  for (const [reason, r] of before ? Object.entries(now.refusals) : []) {
    const more = r.handshakes - (before.refusals[reason]?.handshakes ?? 0);
    if (more > 0) event('bad', 'refused', `${more} ${more > 1 ? 'handshakes' : 'handshake'}: ${reason.replaceAll('_', ' ')}`);
  }
}
setInterval(() => { if (!$('app').hidden && !document.hidden) pollStats(); }, 4000);

// What an attacker would try. Each ends in a refusal that the panel shows.
const attacks = {
  flood: (s) => { for (let i = 0; i < 60; i++) s.send(JSON.stringify({type: 'join', room: state.current || 'lobby'})); },
  shape: (s) => s.send(JSON.stringify({type: 'say', room: 'lobby', text: 'hello', admin: true})),
  binary: (s) => s.send(new Uint8Array([1, 2, 3])),
  size: (s) => s.send(JSON.stringify({type: 'say', room: 'lobby', text: 'x'.repeat(1 << 20)})),
};
const handshakes = {
  twice: () => new WebSocket(endpoint('?token=' + state.token), ['chat.v1', 'bearer.' + state.token]),
  forged: () => new WebSocket(endpoint(), ['chat.v1', 'bearer.' + state.token.slice(0, -4) + 'AAAA']),
};
for (const button of document.querySelectorAll('[data-attack]')) {
  button.addEventListener('click', () => {
    const name = button.dataset.attack;
    if (handshakes[name]) handshakes[name]().onclose = pollStats;
    else if (state.socket?.readyState === WebSocket.OPEN) attacks[name](state.socket);
  });
}
