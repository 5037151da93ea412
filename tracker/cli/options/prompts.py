"""Words as prompts of `track`: its options, and the objects and points that they ask for."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tracker.cli.options.queries import choose_query_frames
from tracker.errors import UserError
from tracker.points.queries import Queries
from tracker.prompting.defaults import DETECTOR, GRID, SEGMENTER, THRESHOLD
from tracker.video.video import Video

if TYPE_CHECKING:
    from tracker.prompting.objects import FoundObjects
    from tracker.registry import Tracker


def add_prompt_options(track: argparse.ArgumentParser) -> None:
    """Add the options that `find_objects` reads, besides those of `add_query_options`."""
    words = track.add_argument_group("objects that words name (extra: text)")
    words.add_argument(
        "--prompt",
        action="append",
        metavar="TEXT",
        help=f"find objects, such as 'a cat', and follow --grid ({GRID}) or --corners points in "
        "each; may be given several times. They are looked for in --query-frames (auto), or --at",
    )
    words.add_argument(
        "--prompt-threshold",
        type=float,
        default=THRESHOLD,
        metavar="X",
        help="score in 0..1 that boxes must have; lower ones find more, and more that is wrong; "
        "default: %(default)s",
    )
    words.add_argument(
        "--detector",
        default=DETECTOR,
        metavar="NAME",
        help="an OWLv2, by hub id or folder; default: %(default)s",
    )
    words.add_argument(
        "--segmenter",
        default=SEGMENTER,
        metavar="NAME",
        help="a SAM 2, by hub id or folder; default: %(default)s",
    )


def check_prompt_options(args: argparse.Namespace) -> None:
    """Check that the options fit each other and what is installed, whatever the video.

    Raises:
        UserError: a prompt says nothing, other options exclude prompts, or a checkpoint cannot be
            used.
    """
    if not args.prompt:
        return
    placed = {"--points": args.points, "--queries": args.queries, "--mask": args.mask}
    others = [name for name, value in placed.items() if value]
    if others:
        raise UserError(f"--prompt and {others[0]} exclude each other; give one")
    from tracker.prompting.finding import check_checkpoints, check_threshold
    from tracker.prompting.words import check_prompts

    check_prompts(args.prompt)
    check_threshold(args.prompt_threshold)
    check_checkpoints(args.detector, args.segmenter)


def find_objects(args: argparse.Namespace, video: Video, tracker: Tracker) -> FoundObjects:
    """Find what the prompts name.

    Args:
        args: the options.
        video: where to look.
        tracker: follows points between the frames that are searched.

    Raises:
        UserError: nothing is found, or as `find`.
    """
    from tracker.prompting.finding import find

    unnamed = args.query_frames is None and not args.at
    where = argparse.Namespace(**vars(args) | {"query_frames": "auto"}) if unnamed else args
    found = find(
        video,
        args.prompt,
        tracker,
        frames=choose_query_frames(where, video),
        threshold=args.prompt_threshold,
        detector=args.detector,
        segmenter=args.segmenter,
        device=args.device,
        progress=True,
    )
    for item in found:
        frames = ", ".join(str(sighting.t) for sighting in item.sightings)
        print(f"found: {item.name}, score {item.best.score:.2f}, in frames {frames}")
    return found


def points_in_objects(args: argparse.Namespace, video: Video, found: FoundObjects) -> Queries:
    """Put a grid, or corners, inside each object.

    Raises:
        UserError: corners are asked for where an object is flat.
    """
    if args.corners is None:
        queries = found.queries(GRID if args.grid is None else args.grid)
    else:
        queries = Queries.concat(
            [
                Queries.corners(
                    video[item.best.t], args.corners, item.best.t, item.best.mask
                ).grouped(item.name)
                for item in found
            ]
        )
    return queries.check(video.size, len(video))
