"""Seconds and peak memory of tracking a clip, and how they divide over the parts.

    python benchmarks/tracking_speed.py                       # the small model on two CPU cores
    python benchmarks/tracking_speed.py --backbone vitl --device cuda --points 256 1024

Speed does not depend on what the weights are, so all weights are random.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import torch
from torch import Tensor

from tracker.devices import set_threads
from tracker.features.backbone import BackboneConfig, FrozenBackbone
from tracker.features.checkpoints import MINI_ARCHITECTURE
from tracker.flow.chains import chain_flow
from tracker.flow.fields import gray_frames
from tracker.head import HeadConfig
from tracker.points.queries import Queries
from tracker.tracking.config import TrackerConfig
from tracker.tracking.tracker import PointTracker
from tracker.video.pixels import shrink_frames
from tracker.video.video import Video

ARCHITECTURES = {
    "mini": MINI_ARCHITECTURE,
    "vitl": {"pred_num_hidden_layers": 1},
    "vith": {
        "hidden_size": 1280,
        "num_hidden_layers": 32,
        "num_attention_heads": 16,
        "pred_num_hidden_layers": 1,
    },
}
LAYERS = {"mini": (2, 4, 6, 8), "vitl": (6, 12, 18, 24), "vith": (8, 16, 24, 32)}


def build(name: str, iterations: int, fine: int) -> PointTracker:
    """Return a tracker of random weights with the backbone of that name."""
    from transformers import VJEPA2Config, VJEPA2Model

    torch.manual_seed(0)
    config = TrackerConfig(
        BackboneConfig(name, LAYERS[name]),
        HeadConfig(iterations=iterations),
        fine_size=(fine, fine),
    )
    encoder = VJEPA2Model(VJEPA2Config(**ARCHITECTURES[name]))
    return PointTracker(config, backbone=FrozenBackbone(config.backbone, encoder)).eval()


def timed(action: Callable[[], object], device: str, repeats: int) -> float:
    """Return the median seconds of an action, after one that does not count."""
    seconds = []
    for _ in range(repeats + 1):
        if device == "cuda":
            torch.cuda.synchronize()
        started = time.perf_counter()
        action()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds[1:]))


def measure(
    tracker: PointTracker, video: Video, points: int, device: str, repeats: int
) -> dict[str, float]:
    """Return seconds by part; `stem` is all else that is computed once for a frame."""
    side = round(points**0.5)
    queries = Queries.grid(side, video.size)
    frames = video.read()
    start = np.repeat(queries.txy[:, None, 1:], len(frames), axis=1)
    known = np.arange(len(frames)) == queries.t[:, None]

    @torch.inference_mode()
    def backbone() -> Tensor:
        return tracker.residuals(shrink_frames(frames, tracker.config.fine_size, device))[0]

    @torch.inference_mode()
    def features() -> object:
        return tracker.describe(frames)

    def flow() -> object:
        return chain_flow(gray_frames(frames), start, known, video.size)

    parts = {"backbone": timed(backbone, device, repeats)}
    parts["stem"] = timed(features, device, repeats) - parts["backbone"]
    parts["flow"] = timed(flow, device, repeats)
    complete = tracker.config

    def track(config: TrackerConfig) -> float:
        tracker.config = config
        return timed(lambda: tracker.track(video, queries), device, repeats)

    coarse = replace(complete, inference=replace(complete.inference, iterations=0))
    seconds = [track(config) for config in (coarse, complete)]
    parts["coarse"] = seconds[0] - parts["backbone"] - parts["stem"]
    parts["refinement"] = seconds[1] - seconds[0] - parts["flow"]
    parts["all"] = seconds[1]
    return parts


def main() -> None:
    """Measure for each number of points, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", choices=ARCHITECTURES, default="mini")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--fine", type=int, default=384, help="side of what the head sees")
    parser.add_argument("--points", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--iterations", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    set_threads(args.threads)
    # A picture that flow can follow, or it would be lost, and its time saved, from the start.
    noise = np.random.default_rng(0).integers(0, 256, (args.size, args.size, 3), dtype=np.uint8)
    picture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)
    video = Video.from_array(np.stack([np.roll(picture, t, 1) for t in range(args.frames)]))
    tracker = build(args.backbone, args.iterations, args.fine).to(args.device)
    print(f"{args.backbone}, {args.frames} frames of {args.size}x{args.size}, {args.device}")
    for points in args.points:
        parts = measure(tracker, video, points, args.device, args.repeats)
        seconds_of = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in parts.items())
        rate = args.frames * points / parts["all"]
        print(
            f"{points} points: {seconds_of}; {args.frames / parts['all']:.1f} frames/s, "
            f"{rate:.0f} point-frames/s"
        )
    if args.device == "cuda":
        print(f"peak GPU memory {torch.cuda.max_memory_allocated() / 2**20:.0f} MB")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
