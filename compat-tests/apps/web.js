// What web servers keep in Redis: sessions (connect-redis), limits (rate-limiter-flexible), locks
// (Redlock).
import assert from 'node:assert/strict';
import { RedisStore } from 'connect-redis';
import { Redis } from 'ioredis';
import { RateLimiterRedis } from 'rate-limiter-flexible';
import { createClient } from 'redis';
import Redlock from 'redlock';

const port = Number(process.argv[2]);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const client = createClient({ url: `redis://127.0.0.1:${port}` });
await client.connect();
const redis = new Redis({ port });

async function sessions() {
  const store = new RedisStore({ client, prefix: 'sess:', ttl: 60 });
  const ask = (method, ...args) => new Promise((done, fail) =>
    store[method](...args, (error, value) => (error ? fail(error) : done(value))));
  const cookie = { originalMaxAge: 60_000 };
  for (const id of ['a', 'b', 'c']) await ask('set', id, { cookie, id });
  assert.equal((await ask('get', 'b')).id, 'b');
  assert.equal(await ask('length'), 3);
  assert.deepEqual((await ask('ids')).sort(), ['a', 'b', 'c']);
  assert.equal((await ask('all')).length, 3);
  await ask('touch', 'b', { cookie: { originalMaxAge: 1000, expires: new Date(Date.now() + 5000) } });
  assert.ok((await client.ttl('sess:b')) <= 60);
  await ask('destroy', 'a');
  assert.equal(await ask('length'), 2);
  await ask('clear');
  assert.equal(await ask('length'), 0);
}

async function limits() {
  for (const storeClient of [redis, client]) {
    const limiter = new RateLimiterRedis({
      storeClient, keyPrefix: `limit:${storeClient === redis}`, points: 3, duration: 1, blockDuration: 2,
      useRedisPackage: storeClient === client,
    });
    for (let left = 2; left >= 0; left -= 1) {
      assert.equal((await limiter.consume('user')).remainingPoints, left);
    }
    await assert.rejects(limiter.consume('user'), (refusal) => refusal.msBeforeNext > 1000);
    assert.ok((await limiter.get('user')).consumedPoints >= 4);
    await limiter.delete('user');
    await limiter.penalty('user', 2);
    await limiter.reward('user', 1);
    assert.equal((await limiter.get('user')).consumedPoints, 1);
  }
}

async function locks() {
  const redlock = new Redlock([redis], { retryCount: 3, retryDelay: 50 });
  const lock = await redlock.lock('lock', 1000);
  await assert.rejects(redlock.lock('lock', 1000));
  const longer = await lock.extend(2000);
  assert.ok((await redis.pttl('lock')) > 1000);
  await longer.unlock();
  const short = await redlock.lock('lock', 50);
  await sleep(100);
  const next = await redlock.lock('lock', 1000);
  await assert.rejects(short.unlock());
  await next.unlock();
}

await Promise.all([sessions(), limits(), locks()]);
await Promise.all([client.close(), redis.quit()]);
