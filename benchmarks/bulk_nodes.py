"""Track on a Ray cluster of two nodes, both on this machine, and let one of them die in the middle.

    python benchmarks/bulk_nodes.py
    python benchmarks/bulk_nodes.py --tracker lk

Rows must be those of a quiet run. Needs the extra `bulk`, and psutil, as `bulk_faults.py` does,
whose videos these are.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from bulk_faults import ordered, write_clips
from ray.cluster_utils import Cluster

from tracker.bulk.engine import Engine
from tracker.bulk.manifest import find_videos
from tracker.bulk.run import Run, Summary
from tracker.bulk.sink import Sink
from tracker.bulk.worker import BulkSettings
from tracker.points.queries import Queries
from tracker.video.video import Video


def grid(video: Video, file: Path | None) -> Queries:
    """Return the points of every video."""
    return Queries.grid(4, video.size)


def track(clips: Path, place: Path, tracker: str, cluster: Cluster | None = None) -> Summary:
    """Track the clips; on a cluster, take its second node away after a few."""
    rows = find_videos([str(clips)])
    settings = BulkSettings(grid, {"grid": 4}, tracker=tracker, threads=1)
    sink = Sink.open(str(place), "points", len(rows))
    engine = Engine(1 if cluster is None else 2, cluster and cluster.address)
    with engine.running():
        run = Run(rows, settings, sink, engine)
        for number, _ in enumerate(run.track(), start=1):
            if cluster is not None and number == len(rows) // 4:
                cluster.remove_node(cluster.list_all_nodes()[1], allow_graceful=False)
                print(f"a node died after {number} of {len(rows)} videos", flush=True)
                cluster.add_node(num_cpus=1)
        return run.finish()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracker", default="vjepa")
    args = parser.parse_args()
    with TemporaryDirectory(prefix="bulk-nodes-") as name:
        clips = write_clips(Path(name) / "clips")
        track(clips, Path(name) / "quiet", args.tracker)
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        cluster.add_node(num_cpus=1)
        summary = track(clips, Path(name) / "nodes", args.tracker, cluster)
        cluster.shutdown()
        same = ordered(Path(name) / "nodes").equals(ordered(Path(name) / "quiet"))
        print(f"{summary}\nrows are {'the same' if same else 'DIFFERENT'}")
        raise SystemExit(not same)


if __name__ == "__main__":
    main()
