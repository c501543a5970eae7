"""What the jobs of rq_worker.py do: workers find functions by their module's name."""


def double(n):
    return n * 2


def fail():
    raise ValueError("no")
