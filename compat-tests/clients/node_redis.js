// node-redis against the server at 127.0.0.1:PORT. Usage: node node_redis.js PORT

import assert from 'node:assert/strict';
import { createClient, WatchError } from 'redis';

const port = Number(process.argv[2]);

for (const RESP of [2, 3]) {
  const client = await createClient({ socket: { port }, RESP, name: 'test' }).connect();
  await client.flushAll();
  assert.equal(await client.ping(), 'PONG');
  assert.equal(await client.set('k', 'v', { expiration: { type: 'EX', value: 100 } }), 'OK');
  assert.equal(await client.get('k'), 'v');
  assert.equal(await client.set('k', 'w', { condition: 'NX' }), null);
  assert.equal(await client.set('k', 'w', { GET: true, KEEPTTL: true }), 'v');
  assert.equal(await client.exists(['k', 'none']), 1);
  assert.equal(await client.expire('k', 50), 1);
  assert.ok((await client.pTTL('k')) <= 50_000);
  assert.equal(await client.persist('k'), 1);

  await client.mSet({ a: '1', b: '2' });
  assert.deepEqual(await client.mGet(['a', 'b', 'none']), ['1', '2', null]);
  assert.equal(await client.incrBy('a', 41), 42);
  assert.equal(await client.incrByFloat('f', 0.1), '0.1');
  await assert.rejects(client.incr('k'), /value is not an integer or out of range/);

  assert.deepEqual(await client.multi().set('t', '1').incr('t').get('t').exec(), ['OK', 2, '2']);
  const watching = await client.duplicate().connect();
  await watching.watch('t');
  await client.set('t', '5');
  await assert.rejects(watching.multi().incr('t').exec(), WatchError);
  watching.destroy();

  // All in one tick: the client pipelines them.
  await Promise.all(Array.from({ length: 2000 }, (_, i) => client.set(`p:${i}`, String(i))));
  const found = new Set();
  for await (const keys of client.scanIterator({ MATCH: 'p:*', COUNT: 100 })) keys.forEach((key) => found.add(key));
  assert.equal(found.size, 2000);

  assert.equal(await client.clientGetName(), 'test');
  assert.match(await client.info('server'), /redis_version:8\.2/);
  assert.ok((await client.commandList()).includes('get'));
  assert.equal((await client.configGet('maxmemory')).maxmemory, '0');
  await client.flushAll();
  await client.close();
}
