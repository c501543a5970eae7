// Two socket.io servers that reach each other's clients through the Redis adapter.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { createAdapter, createShardedAdapter } from '@socket.io/redis-adapter';
import { createClient } from 'redis';
import { Server } from 'socket.io';
import { io as connect } from 'socket.io-client';

const url = `redis://127.0.0.1:${process.argv[2]}`;

async function node(makeAdapter, opened) {
  const publisher = createClient({ url });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  const http = createServer();
  const io = new Server(http, { adapter: makeAdapter(publisher, subscriber) });
  io.on('connection', (socket) => {
    socket.on('join', (room, done) => { socket.join(room); done(); });
    socket.on('whisper', (room, text) => socket.to(room).emit('message', text));
  });
  http.listen(0);
  await once(http, 'listening');
  opened.push(async () => {
    await io.close();
    await Promise.all([publisher.close(), subscriber.close()]);
  });
  return { io, port: http.address().port };
}

async function check(makeAdapter) {
  const opened = [];
  const nodes = [await node(makeAdapter, opened), await node(makeAdapter, opened)];
  const clients = nodes.map(({ port }) => connect(`http://127.0.0.1:${port}`));
  await Promise.all(clients.map((client) => once(client, 'connect')));
  await Promise.all(clients.map((client) => client.emitWithAck('join', 'room')));
  // Subscriptions of the sharded adapter are made while rooms are.
  await new Promise((done) => setTimeout(done, 200));

  const heard = Promise.all(clients.map((client) => once(client, 'message')));
  nodes[0].io.to('room').emit('message', 'to all');
  assert.deepEqual(await heard, [['to all'], ['to all']]);

  const whispered = once(clients[1], 'message');
  clients[0].emit('whisper', 'room', 'to the other');
  assert.deepEqual(await whispered, ['to the other']);

  const sockets = await nodes[0].io.in('room').fetchSockets();
  assert.equal(sockets.length, 2);
  nodes[1].io.on('question', (n, answer) => answer(n + 1));
  assert.deepEqual(await nodes[0].io.serverSideEmitWithAck('question', 41), [42]);
  nodes[0].io.in('room').disconnectSockets(true);
  await Promise.all(clients.map((client) => client.disconnected || once(client, 'disconnect')));
  clients.forEach((client) => client.close());
  await Promise.all(opened.map((close) => close()));
}

await check(createAdapter);
await check(createShardedAdapter);
