"""Celery with Redis as broker and as result backend: a worker in a process of its own."""

import os
import subprocess
import sys
import time

import celery

PORT = sys.argv[1] if len(sys.argv) == 2 else os.environ["CELERY_TEST_PORT"]
app = celery.Celery("celery_worker", broker=f"redis://127.0.0.1:{PORT}/0", backend=f"redis://127.0.0.1:{PORT}/1")
app.conf.update(broker_connection_retry_on_startup=True, worker_prefetch_multiplier=1)


@app.task
def add(a, b):
    return a + b


@app.task
def total(numbers):
    return sum(numbers)


@app.task(bind=True, max_retries=3)
def stubborn(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0.05)
    return self.request.retries


@app.task
def broken():
    raise ValueError("broken")


def check():
    numbers = celery.group(add.s(n, n) for n in range(50))()
    assert numbers.get(timeout=30) == [2 * n for n in range(50)]
    assert celery.chain(add.s(1, 2), add.s(3), add.s(4))().get(timeout=30) == 10
    assert celery.chord((add.s(n, 1) for n in range(10)), total.s())().get(timeout=30) == 55
    assert stubborn.delay().get(timeout=30) == 2
    began = time.monotonic()
    assert add.apply_async((1, 1), countdown=1).get(timeout=30) == 2
    assert time.monotonic() - began > 0.9
    try:
        broken.delay().get(timeout=30)
        raise AssertionError("it did not fail")
    except ValueError as error:
        assert str(error) == "broken"
    assert app.control.ping(timeout=2), "no worker answers"
    later = add.apply_async((1, 1), countdown=60)
    later.revoke()
    assert app.control.inspect(timeout=2).revoked()


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "celery_worker", "worker", "-P", "threads", "-c", "4", "-l", "WARNING"],
        cwd=here,
        env=dict(os.environ, CELERY_TEST_PORT=PORT),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        check()
    finally:
        worker.terminate()
        worker.wait(timeout=30)


if __name__ == "__main__":
    main()
