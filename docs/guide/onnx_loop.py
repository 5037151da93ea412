"""Follow points through a clip by a tracker's ONNX files: numpy, OpenCV and onnxruntime alone.

python onnx_loop.py FOLDER clip.mp4 0,120,80 0,200,90

FOLDER is what `vjepa-tracker export-onnx` wrote; each point is FRAME,X,Y in pixels of the clip.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from onnx_flow import Flow

Arrays = dict[str, np.ndarray]


class OnnxTracker:
    """Runs the steps that a folder holds; a step's outputs are the next one's inputs."""

    def __init__(self, folder: str) -> None:
        self.facts = json.loads((Path(folder) / "tracker.json").read_text())
        self.sessions = {
            step: onnxruntime.InferenceSession(Path(folder) / f"{step}.onnx")
            for step in self.facts["graphs"]
        }

    def run(self, step: str, known: Arrays) -> Arrays:
        """Return all that is known after a step."""
        graph = self.facts["graphs"][step]
        inputs = {name: known[name] for name in graph["inputs"]}
        found = self.sessions[step].run(graph["outputs"], inputs)
        return known | dict(zip(graph["outputs"], found, strict=True))

    def track(self, frames: np.ndarray, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Follow queries `(N, 3)` as frame, x, y through frames `(T, H, W, 3) uint8`.

        Returns positions `(N, T, 2)` in pixels of the frames, and confidence `(N, T)`.
        """
        size = np.float32(self.facts["fine_size"][::-1])
        scale = size / (frames.shape[2], frames.shape[1])
        levels = self.run("describe", {"frames": frames})
        flow, tracks = Flow(frames, self.facts["flow"]), []
        # So few points at a time that what is known of them fits a CPU's caches.
        for some in np.array_split(queries, -(-len(queries) // self.facts["points_at_once"])):
            start, frame = np.float32(some[:, 1:] * scale), some[:, 0].round().astype(np.int64)
            known = levels | {"query_xy": start, "query_frame": frame}
            known["time_to_query"] = np.arange(len(frames)) - frame[:, None]
            known |= flow.chain(start, frame, size)
            tracks.append(self.follow(self.run("match", self.run("take", known))))
        xy, confidence = (np.concatenate(parts) for parts in zip(*tracks, strict=True))
        return xy / scale, confidence

    def follow(self, known: Arrays) -> tuple[np.ndarray, np.ndarray]:
        """Start from flow where it holds, else from the coarse match if it is sure, and refine."""
        here, certainty = known["time_to_query"] == 0, known["flow_certainty"]
        own, start = here[..., None], known["query_xy"][:, None]
        xy = np.where(certainty[..., None] > 0, known["flow_xy"], known["match_xy"])
        xy = np.where(own, start, xy)
        match = confidence_of(known["match_logits"])
        sure = here | (certainty > 0) | (match >= self.facts["start_certainty"])
        time = np.arange(xy.shape[1])
        for places, known_in in zip(xy, sure, strict=True):  # elsewhere between sure frames
            for axis in places.T:
                axis[:] = np.interp(time, time[known_in], axis[known_in])
        known |= {"xy": xy, "logits": known["match_logits"]}
        for _ in range(self.facts["steps"]):
            known = self.run("follow", known)
            known["xy"] = np.where(own, start, known["new_xy"])
            known["logits"] = known["new_logits"]
        return known["xy"], np.where(here, 1, confidence_of(known["logits"]))


def confidence_of(logits: np.ndarray) -> np.ndarray:
    """Return how likely points are visible and not uncertain."""
    visible, uncertain = np.moveaxis(logits, -1, 0)
    return 1 / (1 + np.exp(-visible)) / (1 + np.exp(uncertain))


def main(folder: str, clip: str, *points: str) -> None:
    """Print the tracks as lines of point, frame, x, y, confidence."""
    capture, frames = cv2.VideoCapture(clip), []
    while (picture := capture.read())[0]:
        frames.append(cv2.cvtColor(picture[1], cv2.COLOR_BGR2RGB))
    queries = np.float32([point.split(",") for point in points])
    xy, confidence = OnnxTracker(folder).track(np.stack(frames), queries)
    for point, frame in np.ndindex(confidence.shape):
        x, y = xy[point, frame]
        print(f"{point},{frame},{x:.3f},{y:.3f},{confidence[point, frame]:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
