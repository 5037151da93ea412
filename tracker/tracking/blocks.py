"""Following points through a whole video, block by block, both ways in time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tracker.head.tracking_head import FrameFeatures, TrackingHead
from tracker.memory import BoundedMemory
from tracker.progress import Progress, Share, in_silence, part_of
from tracker.tracking.config import InferenceConfig
from tracker.tracking.context import FollowedFrames
from tracker.tracking.follower import Follower

DESCRIBING = 0.2
"""Share of a block's time that the features of its frames take, roughly."""


def follow_blocks(
    head: TrackingHead,
    queries: Tensor,
    num_frames: int,
    features_of: Callable[[int, int, Share], FrameFeatures],
    config: InferenceConfig,
    memory: BoundedMemory,
    progress: Progress,
    reach: Tensor | None = None,
    on_block: Callable[[FollowedFrames], object] | None = None,
) -> FollowedFrames:
    """Follow queries through a whole video, both ways from each query's frame.

    Blocks are visited forwards, so that every point is followed from its query to the end, and
    then backwards for points that were asked for later. Their borders do not depend on the
    queries, so a track depends on which other points are asked for by rounding alone, unless the
    context is longer than a block.

    Args:
        head: in eval mode.
        queries: `(N, 3)` as frame and fine pixels.
        num_frames: of the video.
        features_of: `(start, stop)` of a block, and what is called as it is described, to its
            features.
        config: how much to do at once.
        memory: of the flow between the video's frames.
        progress: called with frames done and frames to do in all; a frame that is visited both
            ways counts twice.
        reach: `(N, 2)` first and last frame in which each point is wanted, around its query's; None
            for all frames.
        on_block: called after each block with the tracks of all frames so far, where they are
            final by then: where all queries lie in the first block.

    Returns:
        All points in all frames; in blocks beyond its reach a point stays at its query.
    """
    starts = list(range(0, num_frames, config.block))
    block_of_query = queries[:, 0].long() // config.block
    first, last = int(block_of_query.min()), int(block_of_query.max())
    back_to, on_to = torch.zeros_like(block_of_query), torch.full_like(block_of_query, len(starts))
    if reach is not None:
        back_to, on_to = (reach.to(block_of_query) // config.block).unbind(1)
    begin, end = int(back_to.min()), min(int(on_to.max()) + 1, len(starts))
    total = min(starts[end - 1] + config.block, num_frames) - starts[first]
    total += starts[last] - starts[begin]
    done = told = 0
    xy = queries[:, None, 1:].repeat(1, num_frames, 1)
    tracks = FollowedFrames(xy, torch.zeros_like(xy))

    def visit(follower: Follower, number: int) -> FrameFeatures:
        nonlocal done
        start, stop = starts[number], min(starts[number] + config.block, num_frames)

        def on_share(share: float) -> None:
            nonlocal told
            steps = done + round(share * (stop - start))
            if steps > told:
                progress(steps, total)
                told = steps

        features = features_of(start, stop, part_of(on_share, 0, DESCRIBING))
        on_share(DESCRIBING)
        found = follower.push(features, start, part_of(on_share, DESCRIBING, 1))
        on_share(1)
        mine = follower.active
        block = FollowedFrames(found.xy[mine], found.visibility_logits[mine])
        tracks.put(mine, slice(start, stop), block)
        done += stop - start
        return features

    forward = Follower(head, queries, config, memory)
    # So that a track does not depend on whether other queries began earlier.
    for number in range(max(0, first - -(-config.context // config.block)), first):
        stop = starts[number] + config.block
        forward.add_context(features_of(starts[number], stop, in_silence))
    backward = Follower(head, queries, config, memory, backward=True)
    for number in range(first, end):
        forward.leave(on_to < number)
        features = visit(forward, number)
        if number == last > 0:
            backward.add_context(features)
        if last == 0 and on_block is not None:
            on_block(tracks.select_frames(slice(0, starts[number] + features.num_frames)))
        del features  # or they would be held while those of the next block are made
    descriptors = forward.descriptors
    assert descriptors is not None  # every query lies in one of the blocks
    for number in range(last, begin, -1):
        nearest = tracks.select_frames(slice(starts[number], starts[number] + config.context))
        backward.take_over(block_of_query == number, descriptors, nearest)
        backward.leave(back_to >= number)
        visit(backward, number - 1)
    return tracks
