"""Random distortions of a batch of digits: one affine map and one smooth elastic field per image."""

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from spikeline_training.preset import Preset

SIDE = 28
KNOTS = 7  # the elastic field's control points along each side


def augment(pixels: Tensor, preset: Preset) -> Tensor:
    """Distort each image by amounts drawn uniformly within the preset's limits. uint8 (B, 784) in and out."""
    if not preset.augments:
        return pixels
    batch = len(pixels)

    def draw(limit: float) -> Tensor:
        return (2 * torch.rand(batch) - 1) * limit

    unit = 2 / SIDE  # one pixel, in the units of grid_sample
    angle, scale, shear = draw(math.radians(preset.rotation)), 1 + draw(preset.scale), draw(preset.shear)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    x = torch.stack((cos, shear - sin, draw(preset.shift * unit)), 1)
    y = torch.stack((sin, cos, draw(preset.shift * unit)), 1)
    affine = torch.stack((x, y), 1)  # (B, 2, 3)
    elastic = torch.randn(batch, 2, KNOTS * KNOTS) * (preset.elastic * unit)
    grid = torch.cat((affine, elastic), 2) @ _basis()  # (B, 2, 784): from where each pixel is taken
    grid = grid.view(batch, 2, SIDE, SIDE).permute(0, 2, 3, 1)
    images = pixels.view(batch, 1, SIDE, SIDE).float()
    return F.grid_sample(images, grid, align_corners=False).view(batch, -1).round_().to(torch.uint8)


@cache
def _basis() -> Tensor:
    """The field of each coefficient: x, y, 1, then each control point spread bicubically. (3 + 49, 784)."""
    axis = (torch.arange(SIDE) + 0.5) * 2 / SIDE - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    knots = torch.eye(KNOTS * KNOTS).view(-1, 1, KNOTS, KNOTS)
    spread = F.interpolate(knots, (SIDE, SIDE), mode="bicubic", align_corners=False)
    return torch.cat((torch.stack((x, y, torch.ones_like(x))).flatten(1), spread.flatten(1)))
