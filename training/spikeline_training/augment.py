"""Random distortions of a batch of pictures: one affine map and one smooth elastic field per image."""

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from spikeline_training.preset import Preset

KNOTS = 7  # the elastic field's control points along each side


def augment(pixels: Tensor, preset: Preset) -> Tensor:
    """Distort each image by amounts drawn uniformly within the preset's limits. uint8 (B, H * W) in and out."""
    if not preset.augments:
        return pixels
    batch, (height, width) = len(pixels), preset.shape

    def draw(limit: float) -> Tensor:
        return (2 * torch.rand(batch) - 1) * limit

    across, down = 2 / width, 2 / height  # one pixel, in the units of grid_sample
    angle, scale, shear = draw(math.radians(preset.rotation)), 1 + draw(preset.scale), draw(preset.shear)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    x = torch.stack((cos, (shear - sin) * (height / width), draw(preset.shift * across)), 1)
    y = torch.stack((sin * (width / height), cos, draw(preset.shift * down)), 1)
    affine = torch.stack((x, y), 1)  # (B, 2, 3)
    pixel = torch.tensor((preset.elastic * across, preset.elastic * down))[:, None]
    elastic = torch.randn(batch, 2, KNOTS * KNOTS) * pixel
    grid = torch.cat((affine, elastic), 2) @ _basis(height, width)  # (B, 2, H * W): from where each pixel is taken
    grid = grid.view(batch, 2, height, width).permute(0, 2, 3, 1)
    images = pixels.view(batch, 1, height, width).float()
    return F.grid_sample(images, grid, align_corners=False).view(batch, -1).round_().to(torch.uint8)


@cache
def _basis(height: int, width: int) -> Tensor:
    """The field of each coefficient: x, y, 1, then each control point spread bicubically. (3 + 49, H * W)."""
    y, x = torch.meshgrid(*((torch.arange(n) + 0.5) * 2 / n - 1 for n in (height, width)), indexing="ij")
    knots = torch.eye(KNOTS * KNOTS).view(-1, 1, KNOTS, KNOTS)
    spread = F.interpolate(knots, (height, width), mode="bicubic", align_corners=False)
    return torch.cat((torch.stack((x, y, torch.ones_like(x))).flatten(1), spread.flatten(1)))
