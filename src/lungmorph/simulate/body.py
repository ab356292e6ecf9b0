"""The shape of a random chest: its surfaces as signed distances, its bones and large tubes.

Patient frame: mm from the middle of the chest, axes as in LPS (+x left, +y back, +z head).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import cos, pi, sin

import torch
from torch import Tensor

from ..space import Grid
from .randomness import Draw
from .splines import axis_positions, smooth_noise
from .tubes import Tubes


@dataclass
class Body:
    """The measures of one patient, mm."""

    draw: Draw
    width: float = field(init=False)  # half the cavity, left-right
    depth: float = field(init=False)  # half the cavity, front-back
    height: float = field(init=False)  # lung apex to the lowest recess

    def __post_init__(self) -> None:
        d = self.draw
        size = d.uniform(0.9, 1.08)
        self.width = size * d.uniform(120, 140)
        self.depth = size * d.uniform(80, 104)
        self.height = size * d.uniform(205, 270)
        self.roundness = d.uniform(2.1, 2.7)
        self.fat = d.uniform(6, 38)
        self.muscle = d.uniform(14, 24)
        self.dome_base = 0.70 * self.height  # the part of the height in which the cavity narrows
        self.spine_y = self.depth * d.uniform(0.80, 0.9)
        self.heart_size = d.uniform(0.85, 1.15)
        self.heart = (
            d.uniform(18, 32),
            -self.depth * d.uniform(0.28, 0.4),
            -self.height * d.uniform(0.16, 0.24),
        )
        self.carina_z = self.height * d.uniform(0.1, 0.17)
        self.dome_height = d.uniform(38, 70)
        self.dome_top = -self.height / 2 + self.dome_height + d.uniform(22, 40)
        self.left_lower = d.uniform(5, 20)
        self.tilt = d.uniform(-0.08, 0.08)

    # ------------------------------------------------------------ surfaces

    def surfaces(self, grid: Grid, device: torch.device | str) -> dict[str, Tensor]:
        """Signed distances in mm (negative inside), (D, H, W) each, on a coarse ``grid``.

        Keys: skin, cavity (the rib cage's inner wall), diaphragm (negative below it), middle (the
        mediastinum), heart, spine, canal, right, left (the lungs), fissures (distance), side, back.
        """
        bend = smooth_noise(self.draw, grid, 70.0, 3, device) * 4.0
        bend += smooth_noise(self.draw, grid, 35.0, 3, device) * 1.3
        x, y, z = (
            p - float(c) for p, c in zip(axis_positions(grid, device), grid.center, strict=True)
        )
        px, py, pz = x + bend[0], y[:, None] + bend[1], z[:, None, None] + bend[2]
        out: dict[str, Tensor] = {"x": px, "y": py, "z": pz}
        side = px.abs()
        dome = ((pz + self.height / 2 - (self.height - self.dome_base)) / self.dome_base).clamp_min(
            0
        )
        lateral = (side - self._apex_x(dome)) / self.width
        front = (py - self._apex_y(dome)) / self.depth
        p = self.roundness
        ring = (lateral.clamp_min(0) ** p + front.abs() ** p) ** (1 / p)
        # an inner part of the cavity below its apex counts as its middle line
        whole = (ring**2.4 + dome**2.4) ** (1 / 2.4)
        out["cavity"] = cavity = (whole - 1) * 0.5 * (self.width + self.depth) * 0.9
        wall = self.fat + self.muscle
        low = (pz / self.height).clamp(-0.6, 0.8)
        out["skin"] = (
            (
                (side / (self.width + 0.9 * wall + 16 + 26 * (low - 0.15).clamp_min(0))) ** 2.5
                + (py.abs() / (self.depth + 0.7 * wall + 10 - 14 * (low - 0.2).clamp_min(0))) ** 2.5
            )
            ** 0.4
            - 1
        ) * (self.depth + wall)
        out["diaphragm"] = diaphragm = self._diaphragm(px, py, pz)
        out["heart"] = heart = self._heart(px, py, pz)
        out["spine"] = _ellipse(px, py - self.spine_y, 19.0, 16.0)
        out["canal"] = _ellipse(px, py - self.spine_y - 24, 9.0, 8.0)
        out["middle"] = middle = self._mediastinum(py, pz)
        vessels = _ellipse(px - 22, py - self.spine_y + 24, 12.0, 12.0)
        column = _ellipse(px, py - self.spine_y - 10, 33.0, 33.0)
        for key, sign, diaphragm_shift in (("right", -1, 0.0), ("left", 1, self.left_lower)):
            beyond = middle - sign * (px - self._shift_x())
            outer = _smooth_max(cavity + 1.5, -(diaphragm + diaphragm_shift), 5.0)
            lung = _smooth_max(outer, beyond, 6.0)
            lung = _smooth_max(lung, 4 - heart, 6.0)
            lung = _smooth_max(lung, 1 - column, 5.0)
            out[key] = _smooth_max(lung, -vessels, 5.0)
        out["fissures"] = self._fissures(px, py, pz)
        return out

    def _shift_x(self) -> float:
        return 2.0

    def _apex_x(self, dome: Tensor | float) -> Tensor | float:
        return 0.36 * self.width * dome**2

    def _apex_y(self, dome: Tensor | float) -> Tensor | float:
        return 0.22 * self.depth * dome**2

    def _diaphragm(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """Two domes that fall off to the wall, deepest behind."""
        far = 0.0
        side = ((x.abs() - 0.46 * self.width) / (0.62 * self.width)) ** 2
        back = (y + 0.25 * self.depth) / (0.9 * self.depth)
        back = torch.where(back > 0, back * 0.95, back * 0.85) ** 2
        fall = side + back + far
        top = self.dome_top - self.dome_height * (1.15 * fall / (1 + 0.25 * fall))
        # divided by the steepness, so that the distance is one across the slope too
        steep = (1 + (2.0 * self.dome_height / self.width) ** 2 * fall.clamp_max(2)) ** 0.5
        return (z - top) / steep

    def _heart(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        hx, hy, hz = self.heart
        dx, dy, dz = x - hx, y - hy, z - hz
        # the long axis points to the left, to the front and down
        a = 0.75 * dx - 0.45 * dy - 0.5 * dz
        b = 0.5 * dx + 0.86 * dy + 0.0 * dz
        c = 0.43 * dx - 0.25 * dy + 0.87 * dz
        s = self.heart_size
        return (
            (((a / (64 * s)) ** 2 + (b / (44 * s)) ** 2 + (c / (47 * s)) ** 2).sqrt() - 1) * 48 * s
        )

    def _mediastinum(self, y: Tensor, z: Tensor) -> Tensor:
        """Half its width, mm: narrow in front, wide at the hila and at the very top."""
        front = ((y + 0.15 * self.depth) / (0.75 * self.depth)).clamp(-1.3, 1)
        width = 27 - 19 * (-front).clamp_min(0) ** 1.5 - 6 * front.clamp_min(0)
        hila = torch.exp(-(((z - self.carina_z + 18) / 30) ** 2) - ((y - 5) / 26) ** 2)
        top = ((z - 0.25 * self.height) / (0.25 * self.height)).clamp(0, 1.5)
        return width + 9 * hila + 8 * top

    def _fissures(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """Distance in mm to the nearest fissure: oblique in both lungs, horizontal in the right."""
        wave = 5 * torch.sin(x / 31 + 1.3) + 4 * torch.cos(y / 37)
        oblique = (z - 0.12 * self.height + 1.15 * (-y - 0.1 * self.depth) + wave * 0.8) / 1.52
        flat = (
            z - 0.02 * self.height - 0.08 * self.height + 0.25 * x.abs() - 15 + 0.8 * wave
        ) / 1.04
        flat = torch.where((x < 0) & (oblique < 0), flat.abs(), 99.0)
        return torch.minimum(oblique.abs(), flat)

    # ------------------------------------------------------------ bones and large tubes

    def wall_point(self, angle: float, z: float, side: int, outside: float) -> list[float]:
        """A point of the rib cage: ``angle`` from the side (0) to the back (pi/2) at height z."""
        dome = max((z + self.height / 2 - (self.height - self.dome_base)) / self.dome_base, 0.0)
        ring = max(1 - min(dome, 0.97) ** 2.4, 0.0) ** (1 / 2.4)
        p = self.roundness
        c, s = abs(cos(angle)) / self.width, abs(sin(angle)) / self.depth
        reach = ring / (c**p + s**p) ** (1 / p) + outside
        return [
            side * (self._apex_x(dome) + reach * cos(angle)),
            self._apex_y(dome) + reach * sin(angle),
            z,
        ]

    def ribs(self) -> Tubes:
        """Twelve pairs of tilted rings, each two tubes high, and the sternum."""
        parts = []
        for side in (-1, 1):
            for number in range(13):
                z = 0.47 * self.height - number * self.height / 11.5
                front = -1.22 if number < 8 else -1.22 + 0.35 * (number - 7)
                angles = torch.linspace(1.32, front, 26).tolist()
                drop = 0.24 * self.height * min(1.0, 0.45 + 0.1 * number)
                points = []
                for a in angles:
                    share = max(1.32 - a, 0.0) / 2.54
                    points.append(
                        self.wall_point(a, z - drop * (share**1.3) + 6 * sin(pi * share), side, 7.5)
                    )
                row = torch.tensor(points)
                thick = torch.linspace(1, 0.72, 26) * self.draw.uniform(4.3, 5.2)
                if min(p[2] for p in points) < -0.85 * self.height:
                    continue
                for up in (-3.2, 3.2):
                    parts.append(Tubes.chain(row + torch.tensor([0, 0, up]), thick))
        y = -self.depth - 4
        for x in (-12, -8, -4, 0, 4, 8, 12):
            zs = torch.linspace(0.3, -0.2, 8) * self.height
            row = torch.stack((torch.full((8,), float(x)), y + 0.12 * (zs - zs[3]).abs(), zs), 1)
            parts.append(Tubes.chain(row, 5.5))
        return Tubes.join(parts)

    def shoulders(self) -> Tubes:
        """Clavicles, and shoulder blades as fans of thin tubes; the arches of the vertebrae."""
        parts = []
        h, w, d = self.height, self.width, self.depth
        for side in (-1, 1):
            ends = torch.tensor(
                [
                    [side * 18.0, -d + 12, 0.40 * h],
                    [side * 60.0, -d * 0.7, 0.45 * h],
                    [side * 120.0, -0.1 * d, 0.52 * h],
                ]
            )
            parts.append(Tubes.chain(ends, 6.0))
            for share in torch.linspace(0, 1, 9).tolist():
                top = [side * (0.5 + 0.55 * share) * w, d * (1.16 - 0.45 * share), 0.42 * h]
                tip = [side * 0.86 * w, d * 1.08, -0.02 * h]
                parts.append(Tubes.chain(torch.tensor([top, tip]), torch.tensor([2.2, 3.0])))
        for number in range(14):
            z = 0.55 * h - number * 24.0
            back = self.spine_y + 20
            for side in (-1, 1):
                parts.append(
                    Tubes.chain(
                        torch.tensor(
                            [
                                [side * 15.0, back - 8, z],
                                [side * 13.0, back + 10, z - 2],
                                [0.0, back + 18, z - 6],
                            ]
                        ),
                        4.5,
                    )
                )
                parts.append(
                    Tubes.chain(
                        torch.tensor([[side * 13.0, back + 4, z], [side * 33.0, back + 14, z + 4]]),
                        4.5,
                    )
                )
            parts.append(
                Tubes.chain(torch.tensor([[0.0, back + 18, z - 6], [0.0, back + 38, z - 22]]), 4.0)
            )
        return Tubes.join(parts)

    def trachea(self) -> Tubes:
        """Trachea and the two main bronchi up to the hila."""
        radius = self.draw.uniform(7.5, 9.5)
        top = torch.tensor([0.0, 0.1 * self.depth, 0.75 * self.height])
        carina = torch.tensor([3.0, 0.2 * self.depth, self.carina_z])
        tubes = [Tubes.chain(torch.stack((top, carina)), radius)]
        for side in (-1, 1):
            hilum = self.hilum(side)
            middle = (carina + hilum) / 2 + torch.tensor([0.0, 0.0, 3.0])
            tubes.append(
                Tubes.chain(
                    torch.stack((carina, middle, hilum)), torch.tensor([0.8, 0.72, 0.6]) * radius
                )
            )
        return Tubes.join(tubes)

    def hilum(self, side: int) -> Tensor:
        """Where airways and vessels enter the lung: side -1 right, 1 left; (3,) mm."""
        return torch.tensor(
            [side * (38.0 + 3 * side), 0.1 * self.depth + 4, self.carina_z - 22.0 - 3 * side]
        )

    def great_vessels(self) -> Tubes:
        """Aorta, its arch, the caval veins and the pulmonary trunk."""
        y, top = self.spine_y - 24, self.carina_z + 32
        aorta = torch.tensor(
            [
                [5.0, -25, self.carina_z - 30],
                [-8.0, -28, self.carina_z + 5],
                [0.0, -15, top],
                [18.0, 5, top + 4],
                [24.0, y - 5, top - 10],
                [22.0, y, top - 40],
                [18.0, y, -self.height],
            ]
        )
        cava = torch.tensor([[-24.0, -15, 0.5 * self.height], [-24.0, -10, self.carina_z - 40]])
        lower = torch.tensor([[-22.0, 0, self.carina_z - 60], [-22.0, 10, -self.height]])
        trunk = torch.tensor(
            [
                [22.0, -35, self.carina_z - 35],
                [18.0, -10, self.carina_z - 8],
                [-25.0, 2, self.carina_z - 18],
            ]
        )
        left = torch.stack((trunk[1], self.hilum(1)))
        arteries = torch.tensor(
            [
                [[-4.0, -12, top], [-14.0, -5, 0.6 * self.height]],
                [[12.0, 0, top], [16.0, 0, 0.6 * self.height]],
            ]
        )
        return Tubes.join(
            [
                Tubes.chain(aorta, torch.tensor([15.0, 15, 14, 13, 12, 11.5, 10])),
                Tubes.chain(cava, 9.0),
                Tubes.chain(lower, 11.0),
                Tubes.chain(trunk, torch.tensor([13.0, 12, 9])),
                Tubes.chain(left, 10.0),
                Tubes.chain(arteries[0], 6.0),
                Tubes.chain(arteries[1], 5.0),
            ]
        )


def _ellipse(x: Tensor, y: Tensor, a: float, b: float) -> Tensor:
    return (((x / a) ** 2 + (y / b) ** 2).sqrt() - 1) * min(a, b)


def _smooth_max(a: Tensor, b: Tensor, radius: float) -> Tensor:
    """The larger of two, rounded where they meet (polynomial, width ``radius`` mm)."""
    blend = (radius - (a - b).abs()).clamp_min(0) / radius
    return torch.maximum(a, b) + blend * blend * radius / 4
