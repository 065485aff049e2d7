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
  user: '', token: '',
  socket: null, attempt: 0, timer: 0, paused: false,
  rooms: new Map(), // name -> {lines, people, unread}
  current: '',
  stats: null,
};

// ---- logging in

async function post(path, body) {
  const answer = await fetch(path, {method: 'POST', body});
  if (!answer.ok) throw Object.assign(new Error((await answer.text()).trim()), {status: answer.status});
  return answer.status === 204 ? {} : answer.json();
}

async function login(path, body) {
  const {token, user} = await post(path, body);
  Object.assign(state, {token, user: user ?? body.get('user')});
}

function showLogin(why = '') {
  $('login-note').textContent = why;
  $('app').hidden = true;
  $('login').hidden = false;
  $('name').focus();
}

function showApp() {
  $('login').hidden = true;
  $('app').hidden = false;
  state.signed = true;
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
  try {
    await post('/logout');
  } catch (error) {
    if (error.status !== 401) return banner('You are still logged in: the server cannot be reached.');
  }
  signedOut('You have logged out.');
});

$('elsewhere').addEventListener('click', async () => {
  try {
    const {ended} = await post('/logout/elsewhere');
    event('good', 'sessions', ended === 0 ? 'you are signed in nowhere else' : `${ended} elsewhere ${ended > 1 ? 'were' : 'was'} signed out`);
  } catch {
    event('warn', 'sessions', 'the server cannot be reached');
  }
});

// signedOut stops everything: whoever was signed out does not come back by themselves.
function signedOut(why) {
  clearTimeout(state.timer);
  const socket = state.socket;
  Object.assign(state, {user: '', token: '', socket: null, attempt: 0, paused: false, current: '', signed: false});
  state.rooms.clear();
  if (socket) { socket.onclose = null; socket.close(); }
  showLogin(why);
}

// ---- the connection

async function connect() {
  clearTimeout(state.timer);
  if (state.socket) return;
  state.paused = false;
  setStatus('wait', 'connecting…');
  let ticket;
  try {
    ({ticket} = await post('/ticket'));
  } catch (error) {
    if (error.status === 401) return signedOut('Your session has ended. Log in again.');
    return retry(error.status ? 'the server gives no ticket now' : 'the server cannot be reached');
  }
  if (state.signed && !state.socket) open(ticket);
}

function endpoint(query = '') {
  const url = new URL('/ws' + query, location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  return url;
}

// What is in the URL opens one connection, once: whoever reads it in a log is
// too late.
function open(ticket) {
  const socket = new WebSocket(endpoint('?ticket=' + ticket), ['chat.v1']);
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

// The server says in time that the connection is about to expire.
async function renew() {
  try {
    await login('/session');
    send({type: 'reauthenticate', token: state.token});
  } catch {
    // it is closed then, and opened anew if there still is a session
  }
}

const endings = {'signed out elsewhere': 'You were signed out elsewhere.', 'logged out': 'You have logged out.', 'token revoked': 'Your session has ended. Log in again.'};

function closed(code, reason) {
  if (code === 3000 && endings[reason]) return signedOut(endings[reason]);
  const why = reason || codes[code] || 'closed';
  event(code === 1000 || code === 1001 ? 'warn' : 'bad', code, why);
  if (code === 1008 && reason === 'message rate') {
    banner('You sent too fast. The guard closed the connection: 1008 message rate.');
  } else if (code !== 1000 && code !== 1001 && code !== 3000) {
    banner(`The connection was closed: ${code} ${why}.`);
  }
  const room = state.rooms.get(state.current);
  if (room) line(room, make('li', 'notice bad', `connection closed: ${code} ${why}`));
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
  if (m.type === 'error') return event('warn', 'error', m.reason);
  if (m.type === 'expiring') return renew();
  if (m.type === 'reauthenticated') return event('good', 'renewed', 'with a new token, on the same connection');
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

login('/session').then(showApp, () => showLogin());
