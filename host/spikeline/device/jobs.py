"""Inference that is asked for now and waited for later: jobs, done in order by a thread that keeps the accelerator busy.

The thread lives while there are jobs. It goes from job to job without waiting for the results of the one before, as
`Backend.stream` goes from batch to batch.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future

from spikeline.device.backend import Backend, Result
from spikeline.device.packets import Batch

Work = tuple[Iterator[Batch], Callable[[list[Result]], Result]]  # batches, and what their results are together


class _Job:
    """A future, and how far it is."""

    def __init__(self, work: Callable[[Backend], Work], scores: bool):
        self.work, self.scores = work, scores
        self.future: Future[Result] = Future()
        self.results: list[Result] = []
        self.error: Exception | None = None
        self.left = 0  # batches under way
        self.whole = False  # no batch is still to be taken

    def take(self, backend: Backend) -> Batch | None:
        """The next batch, None after the last and after an error."""
        batch = None
        try:
            if not hasattr(self, "batches"):
                self.batches, self.join = self.work(backend)
            batch = next(self.batches, None)
        except Exception as error:
            self.error = error
        self.whole = batch is None
        self.left += batch is not None
        return batch

    def give(self, result: Result) -> None:
        """The result of the oldest batch under way."""
        self.results.append(result)
        self.left -= 1

    @property
    def done(self) -> bool:
        return self.whole and not self.left

    def tell(self) -> None:
        """What has come of it."""
        if self.error is None:
            self.future.set_result(self.join(self.results))
        else:
            self.future.set_exception(self.error)


class Jobs:
    """The jobs of a backend, one after another; each takes a turn of it, or goes on with the turn of the one before."""

    def __init__(self, backend: Backend):
        self._backend = backend
        self._queue: deque[_Job] = deque()
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None

    def submit(self, work: Callable[[Backend], Work], scores: bool) -> "Future[Result]":
        """Queue a job. `work` is called when its turn has come, and may raise what is wrong with its arguments."""
        job = _Job(work, scores)
        with self._change:
            self._queue.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="spikeline")
                self._thread.start()
        return job.future

    def wait(self) -> None:
        """Until all jobs are done. Raises DeviceError in a thread that is within a call, such as that of a future's callback."""
        self._backend.turns.refuse_within_a_call()
        with self._change:
            self._change.wait_for(lambda: self._thread is None)

    def cancel(self) -> None:
        """Cancel what has not begun, and wait for what has. Raises DeviceError as `wait` does."""
        self._backend.turns.refuse_within_a_call()
        with self._change:
            for job in self._queue:
                job.future.cancel()
        self.wait()

    def _run(self) -> None:
        while True:
            with self._change:
                if not self._queue:
                    self._thread = None
                    self._change.notify_all()
                    return
                scores = self._queue[0].scores
            with self._backend.turns.take():
                self._stream(scores)

    def _next(self, scores: bool) -> _Job | None:
        """The next job, if there is one and it is asked for in the same way; those that are cancelled are left out."""
        with self._change:
            while self._ready(scores):
                job = self._queue.popleft()
                if job.future.set_running_or_notify_cancel():
                    return job
        return None

    def _ready(self, scores: bool) -> bool:
        return bool(self._queue) and self._queue[0].scores == scores

    def _stream(self, scores: bool) -> None:
        """Do the jobs that are there, and those that come meanwhile. One that fails without the accelerator waits its turn."""
        begun: deque[_Job] = deque()
        under_way: deque[_Job] = deque()  # one for each batch

        def tell() -> None:
            while begun and begun[0].done:
                begun.popleft().tell()

        def more() -> Batch | None:
            while True:
                if not begun or begun[-1].whole:
                    job = self._next(scores)
                    if job is None:
                        return None
                    begun.append(job)
                batch = begun[-1].take(self._backend)
                if batch is not None:
                    under_way.append(begun[-1])
                    return batch
                tell()

        def ready() -> bool:
            return self._ready(scores) or bool(begun and not begun[-1].whole)

        try:
            for result in self._backend.stream(more, scores, ready=ready):
                under_way.popleft().give(result)
                tell()
        except BaseException as error:
            for job in begun:
                job.future.set_exception(error)
