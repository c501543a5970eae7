// ioredis against the server at 127.0.0.1:PORT. Usage: node ioredis.js PORT

import assert from 'node:assert/strict';
import Redis from 'ioredis';

const port = Number(process.argv[2]);
const redis = new Redis({ port, enableReadyCheck: true, maxRetriesPerRequest: 1 });

await redis.flushall();
assert.equal(await redis.set('k', 'v', 'EX', 100), 'OK');
assert.equal(await redis.get('k'), 'v');
assert.equal(await redis.set('k', 'w', 'NX'), null);
assert.equal(await redis.set('k', 'w', 'KEEPTTL', 'GET'), 'v');
const ttl = await redis.ttl('k');
assert.ok(ttl > 0 && ttl <= 100);

const binary = Buffer.from([0, 255, 13, 10, 36]);
await redis.set('binary', binary);
assert.deepEqual(await redis.getBuffer('binary'), binary);

await redis.mset({ a: 1, b: 2 });
assert.deepEqual(await redis.mget('a', 'b', 'none'), ['1', '2', null]);
assert.equal(await redis.incrby('a', 41), 42);
await assert.rejects(redis.incr('k'), /value is not an integer or out of range/);

const results = await redis.multi().set('t', 1).incr('t').get('t').exec();
assert.deepEqual(results, [[null, 'OK'], [null, 2], [null, '2']]);

const watching = redis.duplicate();
await watching.watch('t');
await redis.set('t', 5);
assert.equal(await watching.multi().incr('t').exec(), null);

const pipeline = redis.pipeline();
for (let i = 0; i < 2000; i++) pipeline.set(`p:${i}`, i).get(`p:${i}`);
const replies = await pipeline.exec();
assert.equal(replies.length, 4000);
replies.forEach(([error, reply], i) => {
  assert.equal(error, null);
  assert.equal(reply, i % 2 === 0 ? 'OK' : String((i - 1) / 2));
});

const found = new Set();
for await (const keys of redis.scanStream({ match: 'p:*', count: 100 })) keys.forEach((key) => found.add(key));
assert.equal(found.size, 2000);

// Commands that wait for the ready check and for each other.
const all = await Promise.all(Array.from({ length: 500 }, (_, i) => redis.get(`p:${i}`)));
assert.deepEqual(all, Array.from({ length: 500 }, (_, i) => String(i)));
assert.match(await redis.info('server'), /redis_version:8\.2/);

await redis.select(1);
assert.equal(await redis.get('k'), null);
await redis.flushall();
await watching.quit();
assert.equal(await redis.quit(), 'OK');
