"""What a head is made of."""

from __future__ import annotations

from dataclasses import dataclass

from tracker.errors import UserError


@dataclass(frozen=True)
class HeadConfig:
    """Sizes and branches of the head. A checkpoint fits only the config it was trained with.

    Attributes:
        use_vjepa: correlate V-JEPA features.
        use_rgb: correlate features of the RGB stem.
        use_flow: start from optical flow where it holds, and let refinement go over to it.
        content_channels: width of the projected V-JEPA features.
        adapter_window: tubelet slots that the temporal adapter's attention reaches over; 0 leaves
            the adapter out.
        stem_channels: width of the RGB features at strides 4, 8 and 16.
        iterations: refinement steps; 0 tracks with the coarse match alone.
        start_certainty: how certain the coarse match must be for refinement to start from it;
            where neither it nor flow is at hand, it starts between the frames where one is.
        query_radius: half side of the query's patch, in cells of each level.
        target_radius: half side of the searched patch, in cells of each level.
        correlation_channels: width of each level's encoded correlation.
        width: of the temporal transformer.
        depth: layers of the temporal transformer.
        heads: of its attention.
        reach: frames of time difference that have a relative bias of their own.
    """

    use_vjepa: bool = True
    use_rgb: bool = True
    use_flow: bool = True
    content_channels: int = 128
    adapter_window: int = 13
    stem_channels: int = 64
    iterations: int = 4
    start_certainty: float = 0.0
    query_radius: int = 2
    target_radius: int = 3
    correlation_channels: int = 128
    width: int = 192
    depth: int = 3
    heads: int = 6
    reach: int = 24

    @property
    def reads_flow(self) -> bool:
        """Whether anything uses optical flow: the coarse match alone does not."""
        return self.use_flow and self.iterations > 0

    def __post_init__(self) -> None:
        if not (self.use_vjepa or self.use_rgb):
            raise UserError("head.use_vjepa and head.use_rgb are both false; leave one on")
        for name in ("content_channels", "stem_channels", "correlation_channels", "width", "depth"):
            if getattr(self, name) < 1:
                raise UserError(f"head.{name}={getattr(self, name)} must be 1 or more")
        least_0 = ("iterations", "query_radius", "target_radius", "reach", "adapter_window")
        if self.heads < 1 or min(getattr(self, name) for name in least_0) < 0:
            raise UserError(f"head.heads must be 1 or more, {', '.join(least_0)} 0 or more")
        if self.adapter_window and self.content_channels % 8:
            raise UserError(
                f"head.content_channels={self.content_channels} must be a multiple of 8, or "
                "head.adapter_window 0"
            )
        if not 0 <= self.start_certainty < 1:
            raise UserError(
                f"head.start_certainty={self.start_certainty} must be 0 or more, below 1"
            )
        if self.width % self.heads:
            raise UserError(f"head.width {self.width} is not a multiple of head.heads {self.heads}")
