"""The RGB stem: a small convolutional pyramid for sub-patch precision.

Patches of 16 pixels are the ceiling of frozen features; the stem sees the frames at their own
resolution and describes them at strides 4, 8 and 16.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

STRIDES = (4, 8, 16)


def instance_norm(channels: int) -> nn.GroupNorm:
    """Return instance norm as groups of one channel, which torch computes four times as fast."""
    return nn.GroupNorm(channels, channels)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with instance norm, and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = instance_norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = instance_norm(outputs)
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, h, w)` to `(N, outputs, h / stride, w / stride)`."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class RgbStem(nn.Module):
    """Frames to unit-length features at strides 4, 8 and 16, coarse ones informing fine ones.

    Args:
        channels: of each output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.entry = nn.Sequential(
            nn.Conv2d(3, 32, 7, 2, 3, bias=False), instance_norm(32), nn.ReLU()
        )
        self.stage4 = nn.Sequential(ResidualBlock(32, 64, 2), ResidualBlock(64, 64))
        self.stage8 = nn.Sequential(ResidualBlock(64, 96, 2), ResidualBlock(96, 96))
        self.stage16 = nn.Sequential(ResidualBlock(96, 128, 2), ResidualBlock(128, 128))
        self.out4 = nn.Conv2d(64, channels, 1)
        self.out8 = nn.Conv2d(96, channels, 1)
        self.out16 = nn.Conv2d(128, channels, 1)

    def forward(self, frames: Tensor) -> list[Tensor]:
        """Describe frames.

        Args:
            frames: `(N, 3, H, W)` in 0..1, H and W multiples of 16.

        Returns:
            `(N, C, H / s, W / s)` for s in 4, 8, 16.
        """
        x4 = self.stage4(self.entry(2 * frames - 1))
        x8 = self.stage8(x4)
        x16 = self.stage16(x8)
        y16 = self.out16(x16)
        y8 = self.out8(x8) + F.interpolate(y16, scale_factor=2.0, mode="bilinear")
        y4 = self.out4(x4) + F.interpolate(y8, scale_factor=2.0, mode="bilinear")
        return [F.normalize(y, dim=1) for y in (y4, y8, y16)]
