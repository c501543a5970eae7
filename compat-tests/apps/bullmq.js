// BullMQ: queues, delayed, prioritised, repeated, rate-limited, retried and flow jobs.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { FlowProducer, Queue, QueueEvents, Worker } from 'bullmq';

const connection = { host: '127.0.0.1', port: Number(process.argv[2]) };
EventEmitter.defaultMaxListeners = 200;
const closing = [];
const keep = (thing) => (closing.unshift(thing), thing);

async function queueOf(name, work, options = {}) {
  const queue = keep(new Queue(name, { connection }));
  const events = keep(new QueueEvents(name, { connection }));
  await events.waitUntilReady();
  const worker = keep(new Worker(name, work, { connection, ...options }));
  await worker.waitUntilReady();
  return { queue, events, worker };
}

async function ordinaryJobs() {
  const { queue, events } = await queueOf('plain', async (job) => job.data.n * 2, { concurrency: 5 });
  const jobs = await queue.addBulk(
    Array.from({ length: 100 }, (_, n) => ({ name: 'double', data: { n } })),
  );
  const results = await Promise.all(jobs.map((job) => job.waitUntilFinished(events, 20_000)));
  assert.deepEqual(results, jobs.map((job) => job.data.n * 2));
  const counts = await queue.getJobCounts('completed', 'waiting', 'active', 'failed');
  assert.deepEqual(counts, { completed: 100, waiting: 0, active: 0, failed: 0 });
  await queue.clean(0, 1000, 'completed');
  assert.equal(await queue.getJobCountByTypes('completed'), 0);
}

async function delayedJobs() {
  const { queue, events } = await queueOf('delayed', async () => Date.now());
  const began = Date.now();
  const job = await queue.add('later', {}, { delay: 300 });
  assert.equal(await job.getState(), 'delayed');
  const ran = await job.waitUntilFinished(events, 20_000);
  assert.ok(ran - began >= 290, `${ran - began} ms`);
}

async function prioritisedJobs() {
  const order = [];
  const queue = keep(new Queue('priority', { connection }));
  for (const priority of [30, 10, 20]) await queue.add('job', { priority }, { priority });
  const events = keep(new QueueEvents('priority', { connection }));
  await events.waitUntilReady();
  const last = await queue.add('job', { priority: 40 }, { priority: 40 });
  keep(new Worker('priority', async (job) => { order.push(job.data.priority); }, { connection }));
  await last.waitUntilFinished(events, 20_000);
  assert.deepEqual(order, [10, 20, 30, 40]);
}

async function retriedJobs() {
  const { queue, events } = await queueOf('retries', async (job) => {
    if (job.attemptsMade < 2) throw new Error('not yet');
    return job.attemptsMade;
  });
  const job = await queue.add('job', {}, { attempts: 3, backoff: { type: 'fixed', delay: 50 } });
  assert.equal(await job.waitUntilFinished(events, 20_000), 2);
  const lost = await queue.add('job', {}, { attempts: 1 });
  await assert.rejects(lost.waitUntilFinished(events, 20_000), /not yet/);
  assert.equal(await queue.getFailedCount(), 1);
}

async function limitedJobs() {
  const { queue, events } = await queueOf('limited', async () => {}, {
    limiter: { max: 2, duration: 200 },
  });
  const began = Date.now();
  const jobs = await queue.addBulk(Array.from({ length: 6 }, () => ({ name: 'job', data: {} })));
  await Promise.all(jobs.map((job) => job.waitUntilFinished(events, 20_000)));
  assert.ok(Date.now() - began >= 390, `${Date.now() - began} ms`);
}

async function flows() {
  const { events } = await queueOf('parents', async (job) => {
    const values = Object.values(await job.getChildrenValues());
    return values.reduce((sum, value) => sum + value, 0);
  });
  await queueOf('children', async (job) => job.data.n);
  const producer = keep(new FlowProducer({ connection }));
  const flow = await producer.add({
    name: 'sum',
    queueName: 'parents',
    children: [1, 2, 3].map((n) => ({ name: 'number', queueName: 'children', data: { n } })),
  });
  assert.equal(await flow.job.waitUntilFinished(events, 20_000), 6);
}

async function schedulers() {
  let runs = 0;
  const { queue } = await queueOf('repeated', async () => { runs += 1; });
  await queue.upsertJobScheduler('tick', { every: 100 }, { name: 'tick' });
  const deadline = Date.now() + 20_000;
  while (runs < 3 && Date.now() < deadline) await new Promise((done) => setTimeout(done, 20));
  assert.ok(runs >= 3);
  assert.equal((await queue.getJobSchedulers()).length, 1);
  assert.ok(await queue.removeJobScheduler('tick'));
}

await Promise.all([
  ordinaryJobs(), delayedJobs(), prioritisedJobs(), retriedJobs(), limitedJobs(), flows(), schedulers(),
]);
const queue = keep(new Queue('plain', { connection }));
await queue.pause();
assert.ok(await queue.isPaused());
await queue.obliterate({ force: true });
await Promise.all(closing.map((thing) => thing.close()));
