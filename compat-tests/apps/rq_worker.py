"""RQ: jobs, dependencies, retries, schedules, and registries."""

import sys
import time
from datetime import timedelta

import redis
import rq
from rq_jobs import double, fail
from rq.registry import FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry

connection = redis.Redis(port=int(sys.argv[1]))


def main():
    queue = rq.Queue("tests", connection=connection)
    worker = rq.SimpleWorker([queue], connection=connection)
    jobs = [queue.enqueue(double, n) for n in range(50)]
    after = queue.enqueue(double, 100, depends_on=jobs[-1])
    broken = queue.enqueue(fail, retry=rq.Retry(max=2))
    assert queue.count == 51, queue.count
    worker.work(burst=True, logging_level="ERROR")
    assert [job.return_value() for job in jobs] == [n * 2 for n in range(50)]
    assert after.return_value() == 200
    assert broken.get_status() == rq.job.JobStatus.FAILED
    assert len(FinishedJobRegistry(queue=queue)) == 51
    assert FailedJobRegistry(queue=queue).get_job_ids() == [broken.id]
    queue.enqueue_in(timedelta(seconds=1), double, 7)
    assert len(ScheduledJobRegistry(queue=queue)) == 1
    scheduler = rq.scheduler.RQScheduler([queue], connection=connection)
    scheduler.acquire_locks()
    time.sleep(1.1)
    scheduler.enqueue_scheduled_jobs()
    assert queue.count == 1
    scheduler.release_locks()
    worker.work(burst=True, logging_level="ERROR")
    assert queue.is_empty()
    assert rq.Worker.all(connection=connection) == []


if __name__ == "__main__":
    main()
