"""Who does the work: this process, or actors of Ray Data, each with a worker that is made once.

One item is one block of Ray Data, so that a worker that dies takes nothing but the item it was at
with it. Such items are tried again when all others are done, a bounded number of times; in the end
they come out as `None`.
"""

from __future__ import annotations

import json
import logging
import math
import os
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tracker.errors import UserError
from tracker.extras import needs

Item = Mapping[str, Any]
"""What a worker gets and gives back: fields that JSON can hold."""

Worker = Callable[[Item], Item]

WAVE, WAVE_A_WORKER = 1_000, 100
"""Items that are handed to Ray at a time: it plans all of them before the first begins, and workers
that find nothing more to do wait for the last one."""


@dataclass(frozen=True)
class Engine:
    """Where workers run.

    Attributes:
        workers: how many; one without an address is this process, without Ray; None for as many
            as a cluster has room for.
        address: of a Ray cluster to join, `auto` or `HOST:PORT`; None starts one on
            this machine.
        cpus: that each worker reserves.
        gpus: that each worker reserves; a half lets two share one.
        deaths: how often an item may take its worker with it before it is given up.
    """

    workers: int | None = 1
    address: str | None = None
    cpus: float = 1
    gpus: float = 0
    deaths: int = 3

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise UserError(f"{self.workers} workers cannot work; give 1 or more")
        if self.cpus <= 0 or self.gpus < 0:
            raise UserError("a worker needs more than 0 CPUs, and 0 GPUs or more")

    @property
    def uses_ray(self) -> bool:
        """Whether Ray runs the workers."""
        return self.workers != 1 or self.address is not None

    @contextmanager
    def running(self) -> Iterator[str]:
        """Start what workers need, or join it; yield the address of a dashboard, if there is one.

        Raises:
            UserError: Ray is not installed, or there is no such cluster.
        """
        if not self.uses_ray:
            yield ""
            return
        with needs("bulk"):
            import ray
        was_there = ray.is_initialized()
        dashboard = "" if was_there else self._connect()
        try:
            yield dashboard
        finally:
            if not was_there:
                ray.shutdown()

    def _connect(self) -> str:
        """Start or join a cluster; return the address of its dashboard, if there is one."""
        import ray

        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or Ray reports to its makers
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what matters is told by us
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        try:
            if self.address is not None:
                _check_reachable(self.address)
                options["address"] = self.address
            else:
                options["num_cpus"] = math.ceil((self.workers or 1) * self.cpus)
            with _no_stderr():
                context = ray.init(**options)
        except (OSError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:160]
            where = "start on this machine" if self.address is None else f"join {self.address}"
            raise UserError(f"Ray cannot {where} ({reason})") from error
        return context.dashboard_url or ""

    def _room(self) -> int:
        """Return how many workers the cluster has CPUs and GPUs for."""
        import ray

        there = ray.cluster_resources()
        rooms = [there.get("CPU", 0) / self.cpus]
        if self.gpus:
            rooms.append(there.get("GPU", 0) / self.gpus)
        if min(rooms) < 1:
            raise UserError(
                f"the cluster has {there.get('CPU', 0):g} CPUs and {there.get('GPU', 0):g} GPUs, "
                f"too few for a worker with {self.cpus:g} and {self.gpus:g}; lower --threads or "
                "--gpus"
            )
        return int(min(rooms))

    def run(
        self, make_worker: Callable[[], Worker], items: Sequence[Item]
    ) -> Iterator[tuple[Item, Item | None]]:
        """Yield each item with what came of it, in the order in which they are finished.

        Args:
            make_worker: called once on each worker; it goes there, so that it must be picklable.
            items: what the worker is called with.

        Yields:
            Item and result; None for a result where the worker died of the item.

        Raises:
            UserError: a worker cannot be made.
        """
        if not self.uses_ray:
            worker = make_worker() if items else None
            for item in items:
                assert worker is not None
                yield item, worker(item)
            return
        left = list(items)
        for _ in range(self.deaths):
            size = self.workers or self._room()
            wave = max(WAVE, WAVE_A_WORKER * size)
            lost: list[Item] = []
            for start in range(0, len(left), wave):
                for item, result in self._run_wave(make_worker, left[start : start + wave], size):
                    if result is None:
                        lost.append(item)
                    else:
                        yield item, result
            left = lost
        for item in left:
            yield item, None

    def _run_wave(
        self, make_worker: Callable[[], Worker], items: Sequence[Item], size: int
    ) -> Iterator[tuple[Item, Item | None]]:
        import ray

        context = ray.data.DataContext.get_current()
        context.max_errored_blocks = -1  # a lost block is counted, and the others go on
        context.enable_progress_bars = context.print_on_execution_start = False
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        rows = [
            {"number": number, "item": json.dumps(dict(item))} for number, item in enumerate(items)
        ]
        size = min(size, len(rows))
        with warnings.catch_warnings():
            # Ray says that 2.64 will take the last two arguments away.
            warnings.simplefilter("ignore")
            results = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
                _Actor,
                fn_constructor_args=(make_worker,),
                batch_size=1,
                compute=ray.data.ActorPoolStrategy(size=size, max_tasks_in_flight_per_actor=1),
                num_cpus=self.cpus,
                num_gpus=self.gpus or None,
                # Actors are started again, but what they were at is not: Ray would count tries
                # on an actor that is still starting, and so none at all.
                max_restarts=-1,
                max_task_retries=0,
            )
        left = dict(enumerate(items))
        try:
            for row in results.iter_rows():
                result = json.loads(row["result"])
                if "unmade" in result:
                    raise UserError(result["unmade"])
                yield left.pop(row["number"]), result
        except ray.exceptions.RayError as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
            raise UserError(
                f"Ray cannot run workers ({reason[:200]}); is this package, with the extra bulk, "
                "on all machines of the cluster?"
            ) from error
        for item in left.values():
            yield item, None


class _Actor:
    """A worker inside an actor of Ray; one that cannot be made says so with its first item."""

    def __init__(self, make_worker: Callable[[], Worker]) -> None:
        self._worker: Worker | None = None
        try:
            self._worker = make_worker()
        except UserError as error:
            self._unmade = str(error)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        results: list[Item] = [
            self._worker(json.loads(item)) if self._worker else {"unmade": self._unmade}
            for item in batch["item"]
        ]
        return {
            "number": batch["number"],
            "result": [json.dumps(dict(result)) for result in results],
        }


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Let nothing through to stderr: Ray writes there that it was told to be quiet."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _check_reachable(address: str) -> None:
    """Fail at once where nobody listens: Ray would try for minutes.

    Raises:
        OSError: nobody does.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()
