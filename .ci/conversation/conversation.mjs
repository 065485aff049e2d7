// One conversation with a running chat, by the npm package ws:
//
//	node conversation.mjs http://127.0.0.1:8080
//
// It prints a line for each step, and exits with 1 if one fails.

import assert from 'node:assert/strict';
import WebSocket from 'ws';

const base = process.argv[2];
if (!base) {
  console.error('usage: node conversation.mjs URL');
  process.exit(2);
}
const endpoint = base.replace(/^http/, 'ws') + '/ws';
const patience = 10_000;

async function step(name, act) {
  try {
    const result = await act();
    console.log('ok   ' + name);
    return result;
  } catch (error) {
    console.log(`FAIL ${name}: ${error.message}`);
    process.exit(1);
  }
}

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come`)), patience);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function login(user) {
  const response = await fetch(base + '/login', {method: 'POST', body: new URLSearchParams({user}), signal: AbortSignal.timeout(patience)});
  assert.equal(response.status, 200);
  const cookie = response.headers.get('set-cookie') ?? '';
  assert.match(cookie, /HttpOnly/);
  assert.match(cookie, /SameSite/);
  const {token, expires_in: seconds} = await response.json();
  assert.ok(token.split('.').length === 3 && seconds > 0, 'no token, or none that lasts');
  return token;
}

class Client {
  #messages = [];
  #waiting = [];

  // open resolves to a client, or rejects with an error that has a status.
  static open({origin = base, protocols = ['chat.v1'], query = ''}) {
    const client = new Client();
    const ws = new WebSocket(endpoint + query, protocols, {origin, handshakeTimeout: patience});
    client.ws = ws;
    client.closed = new Promise((resolve) => ws.on('close', (code, reason) => resolve({code, reason: String(reason)})));
    ws.on('message', (data) => {
      const message = JSON.parse(data);
      const waiting = client.#waiting.shift();
      if (waiting) waiting(message);
      else client.#messages.push(message);
    });
    return new Promise((resolve, reject) => {
      ws.on('open', () => resolve(client));
      ws.on('unexpected-response', (_, response) => {
        response.resume();
        reject(Object.assign(new Error('refused with ' + response.statusCode), {status: response.statusCode}));
      });
      ws.on('error', reject);
    });
  }

  send(message) {
    this.ws.send(JSON.stringify(message));
  }

  async next(type, from) {
    const message = this.#messages.shift() ?? await within(new Promise((resolve) => this.#waiting.push(resolve)), type);
    assert.equal(message.type, type);
    if (from) assert.equal(message.from, from);
    return message;
  }

  async ends(code) {
    const closed = await within(this.closed, `close code ${code}`);
    assert.equal(closed.code, code, `closed with ${closed.code} ${closed.reason}`);
  }
}

async function refused(options, status) {
  let outcome = 'was accepted';
  try {
    (await Client.open(options)).ws.terminate();
  } catch (error) {
    outcome = error.status ?? error.message;
  }
  assert.equal(outcome, status);
}

const aliceToken = await step('alice logs in', () => login('alice'));
const bobToken = await step('bob logs in', () => login('bob'));
const bearer = (token) => ['chat.v1', 'bearer.' + token];

const alice = await step('alice connects with her token as a subprotocol', () => Client.open({protocols: bearer(aliceToken)}));
const bob = await step('bob connects with his token in the query', () => Client.open({query: '?token=' + bobToken}));
await step('the real subprotocol is echoed, the token is not', () => {
  assert.equal(alice.ws.protocol, 'chat.v1');
  assert.equal(bob.ws.protocol, 'chat.v1');
});

await step('a foreign Origin gets 403', () => refused({origin: 'https://evil.example.com', protocols: bearer(aliceToken)}, 403));
await step('no Origin gets 403', () => refused({origin: '', protocols: bearer(aliceToken)}, 403));
await step('no token gets 401', () => refused({}, 401));
await step('two tokens get 400', () => refused({protocols: bearer(aliceToken), query: '?token=' + aliceToken}, 400));

await step('bob may not talk in a room before he joins', async () => {
  bob.send({type: 'say', room: 'blue', text: 'hello'});
  assert.equal((await bob.next('error')).reason, 'not_in_room');
});
await step('both join, and see each other', async () => {
  alice.send({type: 'join', room: 'blue'});
  await alice.next('joined', 'alice');
  bob.send({type: 'join', room: 'blue'});
  assert.equal((await bob.next('joined', 'bob')).room, 'blue');
  await alice.next('joined', 'bob');
});
await step('what alice says arrives, escaped for HTML', async () => {
  alice.send({type: 'say', room: 'blue', text: `<b>&"'`});
  for (const who of [alice, bob]) {
    const {room, text, at} = await who.next('said', 'alice');
    assert.equal(room, 'blue');
    assert.equal(text, '&lt;b&gt;&amp;&#34;&#39;');
    assert.ok(Math.abs(Date.parse(at) - Date.now()) < 60_000, 'at is another time: ' + at);
  }
});
await step('bob leaves, and alice sees it', async () => {
  bob.send({type: 'leave', room: 'blue'});
  await bob.next('left', 'bob');
  await alice.next('left', 'bob');
});
await step('a message of the wrong shape closes with 1003', async () => {
  bob.send({type: 'join', room: 'blue', admin: true});
  await bob.ends(1003);
});
await step('a flood closes with 1008', async () => {
  for (let i = 0; i < 200; i++) alice.send({type: 'join', room: 'blue'});
  await alice.ends(1008);
});
await step('the counters have seen it', async () => {
  const stats = await (await fetch(base + '/stats', {signal: AbortSignal.timeout(patience)})).json();
  for (const reason of ['origin_not_allowed', 'origin_missing', 'token_missing', 'token_ambiguous', 'invalid_data', 'message_rate']) {
    assert.ok(stats.refusals[reason], reason + ' was not counted');
  }
});
