"""Make clips for training ahead of time, so that a GPU does not wait for them.

  vjepa-tracker render out=shards/ clips.count=20000 data=procedural_fast data.textures=my_photos/
  vjepa-tracker render out=s3://bucket/shards clips.count=1000000 engine.address=auto
  vjepa-tracker train data=shards data.root=shards/

A clip has a number, and the same number is the same clip whether it is rendered while training or
ahead of it. The same command again makes what is missing; a larger number of clips adds some.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tracker.errors import UserError, exit_on_user_error
from tracker.settings import compose, instantiate, plain


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Make the clips that the overrides in `argv` describe; return the exit code."""
    config = compose("render", sys.argv[1:] if argv is None else argv, __doc__)
    if config.out is None:
        raise UserError("out is not set; give out=FOLDER")
    from tracker.bulk.scenes import Rendering
    from tracker.progress import Bar

    engine, clips = instantiate(config.engine), instantiate(config.clips)
    rendering = Rendering.open(config.out, plain(config.data), clips)
    left = sum(len(rendering.index.numbers(shard)) for shard in rendering.left)
    print(f"{clips.count} clips, {clips.count - left} there already", flush=True)
    with engine.running(), Bar(total=left, desc="rendering", unit=" clips", leave=False) as bar:
        for count in rendering.render(engine, max(1, int(engine.cpus))):
            bar.update(count)
    print(f"written: {config.out}")
    return 0
