"""The exact map between the frame and one layer, at any instant.

A layer has coordinates of its own, in pixels, with their origin at its centre. A frame pixel x
shows the layer at u = W(H^-1 x), where H is a homography (pose of the layer, of the layers it
rides on, and of the camera) and W(p) = p + d(p) a smooth non-rigid warp. The gradient of d stays
below 0.5, so W inverts by fixed-point iteration.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

INVERSION_STEPS = 16
"""The error halves at least at each: below 1e-3 px from 50 px away."""


@dataclass(frozen=True)
class LayerMotion:
    """The map of one layer at T instants.

    Attributes:
        forward: `(T, 3, 3)` homography from layer to frame.
        inverse: `(T, 3, 3)` of it.
        wave_vector: `(K, 2)` radians per pixel; K is 0 for a rigid layer.
        wave_amplitude: `(T, K, 2)` pixels.
        wave_phase: `(T, K)` radians.
    """

    forward: Tensor
    inverse: Tensor
    wave_vector: Tensor
    wave_amplitude: Tensor
    wave_phase: Tensor

    def at(self, instants: Tensor | slice) -> LayerMotion:
        """Return the map at some of the instants, indices `(M,)` or a slice."""
        return LayerMotion(
            self.forward[instants],
            self.inverse[instants],
            self.wave_vector,
            self.wave_amplitude[instants],
            self.wave_phase[instants],
        )

    def to(self, device: torch.device | str) -> LayerMotion:
        """Return the same map in float32 on a device."""
        return LayerMotion(*(part.to(device, torch.float32) for part in vars(self).values()))

    def layer_coordinates(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the layer coordinates that frame positions show.

        Args:
            x: raster pixels, broadcastable to `(T, h, w)`: a grid passes `(1, 1, w)`, which
                spares most of the products.
            y: raster pixels, likewise; of a grid `(1, h, 1)`.

        Returns:
            Two `(T, h, w)` tensors, pixels of the layer.
        """
        m = self.inverse[..., None, None]
        # Behind the horizon of a tilted layer nothing of it is seen: any far place will do.
        depth = ((m[:, 2, 0] * x + m[:, 2, 2]) + m[:, 2, 1] * y).clamp_(min=0.02).reciprocal_()
        p_x = ((m[:, 0, 0] * x + m[:, 0, 2]) + m[:, 0, 1] * y).mul_(depth)
        p_y = ((m[:, 1, 0] * x + m[:, 1, 2]) + m[:, 1, 1] * y).mul_(depth)
        return self._warp(p_x, p_y)

    def frame_coordinates(self, u: Tensor) -> Tensor:
        """Return where places of the layer lie in the frame.

        Args:
            u: `(N, 2)` layer coordinates.

        Returns:
            `(N, T, 2)` raster pixels.
        """
        count, instants = u.shape[0], self.forward.shape[0]
        u_x, u_y = u.T[:, None, None, :].expand(2, instants, 1, count)
        p_x, p_y = u_x, u_y
        for _ in range(INVERSION_STEPS if self.wave_vector.shape[0] else 0):
            w_x, w_y = self._warp(p_x.clone(), p_y.clone())
            p_x, p_y = p_x + u_x - w_x, p_y + u_y - w_y
        m = self.forward[..., None, None]
        depth = m[:, 2, 0] * p_x + m[:, 2, 1] * p_y + m[:, 2, 2]
        x = (m[:, 0, 0] * p_x + m[:, 0, 1] * p_y + m[:, 0, 2]) / depth
        y = (m[:, 1, 0] * p_x + m[:, 1, 1] * p_y + m[:, 1, 2]) / depth
        return torch.stack([x[:, 0].T, y[:, 0].T], dim=-1)

    def _warp(self, p_x: Tensor, p_y: Tensor) -> tuple[Tensor, Tensor]:
        """Return W(p) = p + d(p) for coordinates `(T, h, w)`, which it may overwrite."""
        waves = []
        for k, (f_x, f_y) in enumerate(self.wave_vector.unbind()):
            phase = torch.addcmul(self.wave_phase[:, k, None, None], p_x, f_x)
            waves.append(phase.addcmul_(p_y, f_y).sin_())
        for k, wave in enumerate(waves):
            p_x = p_x.addcmul_(wave, self.wave_amplitude[:, k, 0, None, None])
            p_y = p_y.addcmul_(wave, self.wave_amplitude[:, k, 1, None, None])
        return p_x, p_y

    def reach(self) -> float:
        """Return a bound of the displacement of the warp, in pixels."""
        return (
            float(self.wave_amplitude.norm(dim=-1).sum(-1).max())
            if self.wave_amplitude.numel()
            else 0.0
        )

    def scale(self, half: float) -> tuple[Tensor, float]:
        """Return how large the layer appears.

        Args:
            half: half the side of the square of the layer, pixels.

        Returns:
            `(T,)` frame pixels per layer pixel at the centre, and the smallest ratio in any
            direction at the centre and corners over the T instants.
        """
        corners = torch.tensor([[0.0, 0], [1, 1], [1, -1], [-1, 1], [-1, -1]]) * half
        p = torch.cat([corners, torch.ones(5, 1)], 1).to(self.forward)
        q = torch.einsum("tij,cj->tci", self.forward, p)
        depth = q[..., 2, None, None]
        landed = q[..., :2, None] / depth
        jacobian = (self.forward[:, None, :2, :2] - landed * self.forward[:, None, 2:, :2]) / depth
        squares = jacobian.square().sum((-1, -2))
        (a, b), (c, d) = (row.unbind(-1) for row in jacobian.unbind(-2))
        area = (a * d - b * c).abs()
        smallest = (squares - (squares.square() - 4 * area.square()).clamp(min=0).sqrt()) / 2
        return area[:, 0].sqrt(), float(smallest.min().clamp(min=1e-4).sqrt())
