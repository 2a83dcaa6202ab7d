"""Random distortions of a batch of digits: one affine map and one smooth elastic field per image."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from spikeline_training.preset import Preset

SIDE = 28
FIELD = 7  # the elastic field's control points along each side


def augment(pixels: Tensor, preset: Preset) -> Tensor:
    """Distort each image by amounts drawn uniformly within the preset's limits. uint8 (B, 784) in and out."""
    if not preset.augments:
        return pixels
    batch = len(pixels)

    def draw(limit: float) -> Tensor:
        return (2 * torch.rand(batch) - 1) * limit

    angle, scale, shear = draw(math.radians(preset.rotation)), 1 + draw(preset.scale), draw(preset.shear)
    affine = torch.stack(
        (
            torch.stack((angle.cos() * scale, shear - angle.sin() * scale, draw(preset.shift * 2 / SIDE)), 1),
            torch.stack((angle.sin() * scale, angle.cos() * scale, draw(preset.shift * 2 / SIDE)), 1),
        ),
        1,
    )  # (B, 2, 3), in units of half a side
    grid = F.affine_grid(affine, [batch, 1, SIDE, SIDE], align_corners=False)  # (B, 28, 28, 2)
    if preset.elastic:
        knots = torch.randn(batch, 2, FIELD, FIELD) * (preset.elastic * 2 / SIDE)
        bend = F.interpolate(knots, (SIDE, SIDE), mode="bicubic", align_corners=False)  # (B, 2, 28, 28)
        grid = grid + bend.permute(0, 2, 3, 1)
    images = pixels.view(batch, 1, SIDE, SIDE).float()
    return F.grid_sample(images, grid, align_corners=False).view(batch, -1).round_().to(torch.uint8)
