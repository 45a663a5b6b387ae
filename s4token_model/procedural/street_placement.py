"""Putting things beside a street without collisions."""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.catalog import make_outdoors
from s4token_model.procedural.scene_builder import Assembly
from s4token_model.procedural.shape_bank import ShapeBank
from s4token_model.procedural.street_plan import REACH, Plan
from s4token_model.procedural.types import Size, Thing

# Turns that make fronts look along the road, against it or across.
AHEAD, BACK, LEFT, RIGHT = np.pi / 2, -np.pi / 2, np.pi, 0.0


class StreetSite:
    """A street being filled: its plan, the things so far and the ground they take."""

    def __init__(self, plan: Plan, rng: np.random.Generator, shapes: ShapeBank | None = None) -> None:
        self.plan, self.rng, self.shapes, self.things = plan, rng, shapes, Assembly()
        self._taken = [(-3.2, 3.2, plan.ego - 1.2, plan.ego + 1.2)]  # the car that carries the sensor

    def make(self, name: str, size: Size | None = None) -> list[Thing]:
        """Things for this street, as one group: "pole:lamp" is of a kind."""
        name, _, kind = name.partition(":")
        return make_outdoors(name, self.rng, self.shapes, kind, size)

    def is_free(self, s: float, d: float, half: tuple[float, float], gap: float = 0.15) -> bool:
        """Whether a rectangle of half sizes (along s, along d) m about (s, d) is free and inside the scene."""
        if abs(s) + half[0] > REACH[0] - 1 or abs(d) + half[1] > REACH[1] - 0.5:
            return False
        s0, s1, d0, d1 = s - half[0] - gap, s + half[0] + gap, d - half[1] - gap, d + half[1] + gap
        taken = np.array(self._taken)
        return not ((taken[:, 0] < s1) & (taken[:, 1] > s0) & (taken[:, 2] < d1) & (taken[:, 3] > d0)).any()

    def on_crossing(self, s: float, d: float, margin: float = 0.5) -> bool:
        """Whether (s, d) lies on a side street beside the road, or within `margin` m of it."""
        side = 1 if d > 0 else -1
        crossings = (c for c in self.plan.crossings if side in c.sides)
        return any(abs(s - c.s) < c.half + margin for c in crossings)

    def detail(self, s: float, d: float) -> float:
        """How finely plants are made there: 1 near whoever scans, down to 0.2 far away."""
        return float(np.clip(16.0 / (np.hypot(s, d) + 0.1), 0.2, 1.0))

    def put(self, things: list[Thing], s: float, d: float, turn: float, gap: float = 0.15) -> bool:
        """Stand things that share a frame at (s, d), turned against the road; False when there is no space.

        `turn` is one of AHEAD, BACK, LEFT, RIGHT or another angle in radians.
        """
        low = np.min([t.vertices.min(0) for t in things], axis=0).astype(np.float64)
        high = np.max([t.vertices.max(0) for t in things], axis=0).astype(np.float64)
        half = self._half(low, high, turn, things)
        c, sn = np.cos(turn), np.sin(turn)
        mid = (low + high)[:2] / 2 if half[2] else np.zeros(2)
        at = (s + c * mid[0] - sn * mid[1], d + sn * mid[0] + c * mid[1])
        if not self.is_free(*at, half[:2], gap):
            return False
        self._taken.append((at[0] - half[0], at[0] + half[0], at[1] - half[1], at[1] + half[1]))
        heading = float(self.plan.course.heading(s))
        offset = (*self.plan.course.flat(np.array(s), np.array(d)), self.plan.ground(s, d))
        for thing in things:
            self.things.thing(thing, heading + turn, offset)
        return True

    @staticmethod
    def _half(low: np.ndarray, high: np.ndarray, turn: float, things: list[Thing]) -> tuple[float, float, bool]:
        """Half sizes on the ground; trees, lamps and signs take their foot only."""
        if things[0].name in ("tree trunk", "pole"):
            return 0.3, 0.3, False
        x, y = (high - low)[:2] / 2
        c, s = abs(np.cos(turn)), abs(np.sin(turn))
        return float(c * x + s * y), float(s * x + c * y), True

    def facing(self, side: int) -> float:
        """The turn that makes a front on that side look at the road."""
        return RIGHT if side > 0 else LEFT
