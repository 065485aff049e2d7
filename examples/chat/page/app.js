'use strict';

const $ = (id) => document.getElementById(id);

// make builds an element. Text is only ever set as text.
function make(tag, className, ...children) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.append(...children);
  return e;
}

// The server sends text escaped for HTML. The page shows it as text, so it
// undoes exactly what Go's html.EscapeString has done.
const entities = {'&lt;': '<', '&gt;': '>', '&amp;': '&', '&#34;': '"', '&#39;': "'"};
const unescapeHTML = (s) => s.replace(/&(?:lt|gt|amp|#34|#39);/g, (e) => entities[e]);

const maxText = 2000;
const suggestions = ['lobby', 'random', 'help'];
const codes = {
  1000: 'closed', 1001: 'the server is going away', 1002: 'broken framing', 1003: 'a message of the wrong kind or shape',
  1006: 'lost without a goodbye', 1007: 'text that is not UTF-8', 1008: 'against the rules', 1009: 'a message too big',
  1011: 'an error of the server', 1013: 'try again later', 3000: 'the token is not good any more', 3003: 'not allowed', 3008: 'a limit on time',
};

const state = {
  user: '', token: '', expires: 0,
  socket: null, attempt: 0, timer: 0, paused: false,
  rooms: new Map(), // name -> {lines, people, unread}
  current: '',
  stats: null,
};

// ---- logging in

async function login(path, body) {
  const answer = await fetch(path, {method: 'POST', body});
  if (!answer.ok) throw Object.assign(new Error((await answer.text()).trim()), {status: answer.status});
  const {token, expires_in: seconds, user} = await answer.json();
  Object.assign(state, {token, user: user ?? body.get('user'), expires: Date.now() + seconds * 1000});
}

function showLogin() {
  $('app').hidden = true;
  $('login').hidden = false;
  $('name').focus();
}

function showApp() {
  $('login').hidden = true;
  $('app').hidden = false;
  $('me-name').textContent = state.user;
  paintAvatar($('me'), state.user);
  draw();
  pollStats();
  connect();
}

$('login-form').addEventListener('submit', async (e) => {
  e.preventDefault();
  $('login-error').textContent = '';
  try {
    await login('/login', new URLSearchParams({user: $('name').value}));
    showApp();
  } catch (error) {
    $('login-error').textContent = error.status ? error.message : 'The server cannot be reached.';
  }
});

$('logout').addEventListener('click', async () => {
  await fetch('/session', {method: 'DELETE'}).catch(() => {});
  location.reload();
});

// ---- the connection

async function connect() {
  clearTimeout(state.timer);
  if (state.socket) return;
  state.paused = false;
  setStatus('wait', 'connecting…');
  if (Date.now() > state.expires - 5000) {
    try {
      await login('/session');
    } catch (error) {
      if (error.status) return location.reload();
      return retry('the server cannot be reached');
    }
  }
  open();
}

function endpoint(query = '') {
  const url = new URL('/ws' + query, location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  return url;
}

// The token goes as a subprotocol: a URL would end up in logs.
function open() {
  const socket = new WebSocket(endpoint(), ['chat.v1', 'bearer.' + state.token]);
  state.socket = socket;
  let opened = false;
  socket.onopen = () => {
    opened = true;
    setStatus('on', 'connected');
    event('good', 'connected', 'as ' + state.user);
    for (const name of state.rooms.keys()) send({type: 'join', room: name});
    setTimeout(() => { if (state.socket === socket) { state.attempt = 0; $('banner').hidden = true; } }, 5000);
    draw();
    pollStats();
  };
  socket.onmessage = (e) => receive(JSON.parse(e.data));
  socket.onclose = async (e) => {
    state.socket = null;
    for (const room of state.rooms.values()) room.people.clear();
    draw();
    if (!opened) {
      await pollStats();
      return retry('the handshake was refused, or nobody answered');
    }
    closed(e.code, e.reason);
  };
}

function closed(code, reason) {
  const why = reason || codes[code] || 'closed';
  event(code === 1000 || code === 1001 ? 'warn' : 'bad', code, why);
  if (code === 1008 && reason === 'message rate') {
    banner('You sent too fast. The guard closed the connection: 1008 message rate.');
  } else if (code !== 1000 && code !== 1001 && code !== 3000) {
    banner(`The connection was closed: ${code} ${why}.`);
  }
  const room = state.rooms.get(state.current);
  if (room) line(room, make('li', 'notice bad', `connection closed: ${code} ${why}`));
  if (code === 3000) state.expires = 0;
  if (code === 3008 && reason === 'idle') {
    state.paused = true; // back when somebody is here again
    return setStatus('off', 'idle');
  }
  retry(why);
}

// retry connects again after a time that doubles, half of it at random, so
// that not everybody comes back at once.
function retry(why) {
  const bound = Math.min(30000, 1000 * 2 ** state.attempt++);
  const at = Date.now() + bound / 2 + Math.random() * bound / 2;
  const tick = () => {
    const left = at - Date.now();
    if (left <= 0) return connect();
    setStatus('wait', `back in ${Math.ceil(left / 1000)} s`);
    $('status').title = why;
    state.timer = setTimeout(tick, Math.min(left, 250));
  };
  tick();
}

$('reconnect').addEventListener('click', connect);
for (const kind of ['pointerdown', 'keydown']) {
  document.addEventListener(kind, () => { if (state.paused) connect(); });
}

function send(message) {
  if (state.socket?.readyState !== WebSocket.OPEN) return false;
  state.socket.send(JSON.stringify(message));
  return true;
}

function setStatus(kind, text) {
  $('status').dataset.state = kind;
  $('status').title = '';
  $('status-text').textContent = text;
  $('reconnect').hidden = kind === 'on' || text === 'connecting…';
}

function banner(text) {
  $('banner').textContent = text;
  $('banner').hidden = false;
}

// ---- what the server says

function receive(m) {
  if (m.type === 'error') {
    event('warn', 'error', m.reason);
    return;
  }
  const mine = m.from === state.user;
  if (m.type === 'left' && mine && m.connections === 0) return drop(m.room);
  const room = enter(m.room);
  switch (m.type) {
  case 'joined':
    if (!room.people.has(m.from)) notice(room, m, mine ? 'you have joined' : m.from + ' has joined');
    if (m.members) room.people = new Set(m.members);
    room.people.add(m.from);
    break;
  case 'left':
    if (m.connections > 0) break;
    room.people.delete(m.from);
    notice(room, m, m.from + ' has left');
    break;
  case 'said':
    said(room, m, mine);
    if (m.room !== state.current) room.unread++;
    break;
  }
  draw();
}

function enter(name) {
  if (!state.rooms.has(name)) state.rooms.set(name, {lines: [], people: new Set(), unread: 0});
  if (!state.current) state.current = name;
  return state.rooms.get(name);
}

function drop(name) {
  state.rooms.delete(name);
  if (state.current === name) state.current = [...state.rooms.keys()][0] ?? '';
  draw();
}

function notice(room, m, text) {
  line(room, make('li', 'notice', `${text} · ${clock(m.at)}`));
}

function said(room, m, mine) {
  const time = make('time', '', clock(m.at));
  time.dateTime = m.at;
  const li = make('li', mine ? 'message mine' : 'message', avatar(m.from),
    make('div', 'head', make('b', '', m.from), time), make('div', 'text', unescapeHTML(m.text)));
  line(room, li);
}

function line(room, li) {
  room.lines.push(li);
  if (room.lines.length > 500) room.lines.shift().remove();
  if (room === state.rooms.get(state.current)) showLines(room);
}

const clock = (at) => new Date(at ?? Date.now()).toLocaleTimeString([], {hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false});

// ---- drawing

function draw() {
  const room = state.rooms.get(state.current);
  const online = state.socket?.readyState === WebSocket.OPEN;
  if (room) room.unread = 0;
  $('rooms').replaceChildren(...[...state.rooms].map(([name, r]) => {
    const button = make('button', '', make('span', 'name', name));
    if (r.unread) button.append(make('span', 'badge', String(r.unread)));
    button.type = 'button';
    button.setAttribute('aria-current', String(name === state.current));
    button.addEventListener('click', () => { state.current = name; draw(); $('text').focus(); });
    return make('li', '', button);
  }));
  $('suggestions').replaceChildren(...suggestions.filter((name) => !state.rooms.has(name)).map((name) => {
    const button = make('button', '', '#' + name);
    button.type = 'button';
    button.disabled = !online;
    button.addEventListener('click', () => join(name));
    return button;
  }));
  $('room-name').textContent = room ? '#' + state.current : 'No room yet';
  $('room-count').textContent = room?.people.size ? `${room.people.size} here` : '';
  $('leave').hidden = !room;
  $('leave').disabled = !online;
  $('people').replaceChildren(...[...room?.people ?? []].sort().map((name) =>
    make('li', '', avatar(name), name === state.user ? name + ' (you)' : name)));
  if (!room?.people.size) $('people').append(make('li', 'muted', online ? 'nobody yet' : 'unknown while offline'));
  $('text').disabled = !room;
  $('text').placeholder = room ? 'Say something in #' + state.current : 'Join a room to talk';
  showLines(room);
  count();
}

function showLines(room) {
  const list = $('messages');
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  const lines = room?.lines ?? [make('li', 'empty', 'Pick a room on the left, or name a new one.')];
  const last = list.lastElementChild;
  if (lines[0] === list.firstElementChild && lines.includes(last)) {
    list.append(...lines.slice(lines.indexOf(last) + 1));
  } else {
    list.replaceChildren(...lines);
  }
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function paintAvatar(e, name) {
  let hue = 0;
  for (const c of name) hue = (hue * 31 + c.codePointAt(0)) % 360;
  e.style.setProperty('--hue', hue);
  e.textContent = name.slice(0, 2).toUpperCase();
  e.setAttribute('aria-hidden', 'true');
}

function avatar(name) {
  const e = make('span', 'avatar');
  paintAvatar(e, name);
  return e;
}

function event(kind, code, text) {
  const list = $('events');
  list.prepend(make('li', kind, make('time', '', clock()), ' ', make('code', '', String(code)), ' ', text));
  while (list.children.length > 100) list.lastElementChild.remove();
}

// ---- talking

function join(name) {
  if (send({type: 'join', room: name})) { enter(name); state.current = name; draw(); $('text').focus(); }
}

$('join-form').addEventListener('submit', (e) => {
  e.preventDefault();
  join($('join-room').value);
  $('join-room').value = '';
});

$('leave').addEventListener('click', () => {
  if (send({type: 'leave', room: state.current})) drop(state.current);
});

function count() {
  const n = [...$('text').value].length; // characters, as the schema counts
  const online = state.socket?.readyState === WebSocket.OPEN;
  $('counter').textContent = n > maxText - 200 ? `${n}/${maxText}` : '';
  $('counter').classList.toggle('over', n > maxText);
  $('send').disabled = !online || !state.current || n === 0 || n > maxText;
}

$('text').addEventListener('input', count);
$('text').addEventListener('keydown', (e) => {
  if (e.key === 'Enter' && !e.shiftKey && !e.isComposing) { e.preventDefault(); $('say-form').requestSubmit(); }
});
$('say-form').addEventListener('submit', (e) => {
  e.preventDefault();
  if ($('send').disabled || !send({type: 'say', room: state.current, text: $('text').value})) return;
  $('text').value = '';
  count();
});

// ---- the guard

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
  $('stat-messages').textContent = now.messages_in + now.messages_out;
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

login('/session').then(showApp, showLogin);
