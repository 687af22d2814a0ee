"""Efficiency over body size as an SVG picture. Knows coordinates; knows neither Dask nor flows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 920, 520
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 240, 40, 60
#: Colours that people who see few colours can tell apart (Okabe and Ito, 2008).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")


@dataclass(frozen=True, slots=True)
class Curve:
    """Efficiencies of one side on one graph.

    Parameters
    ----------
    graph, side : str
        Whose; curves of one graph share a colour, the side "Dask" is dashed.
    points : tuple of (float, float)
        Body in microseconds and efficiency, by body.
    crossing : float or None
        The body at which the efficiency is a half, in microseconds.
    """

    graph: str
    side: str
    points: Sequence[tuple[float, float]]
    crossing: float | None = None


def draw(curves: Sequence[Curve]) -> str:
    """Return the picture."""
    bodies = [micros for curve in curves for micros, _ in curve.points]
    first, last = math.floor(math.log10(min(bodies))), math.ceil(math.log10(max(bodies)))
    last = max(last, first + 1)
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def x(micros: float) -> float:
        return _LEFT + (math.log10(micros) - first) / (last - first) * (right - _LEFT)

    def y(efficiency: float) -> float:
        return bottom - min(1.05, efficiency) / 1.05 * (bottom - _TOP)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}">',
        '<g font-family="sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        _text(_LEFT, 24, "Efficiency by the length of a body; METG is where it passes 50 %"),
        _text((_LEFT + right) / 2, _HEIGHT - 16, "body, microseconds", "middle"),
    ]
    for power in range(first, last + 1):
        parts += [
            _rule(x(10**power), _TOP, x(10**power), bottom),
            _text(x(10**power), bottom + 20, f"{10.0**power:,g}", "middle"),
        ]
    for percent in range(0, 101, 25):
        heavy = "#666" if percent == 50 else "#ddd"
        parts += [
            _rule(_LEFT, y(percent / 100), right, y(percent / 100), heavy),
            _text(_LEFT - 8, y(percent / 100) + 4, f"{percent} %", "end"),
        ]
    graphs = list(dict.fromkeys(curve.graph for curve in curves))
    for row, curve in enumerate(curves):
        colour = _COLOURS[graphs.index(curve.graph) % len(_COLOURS)]
        dash = ' stroke-dasharray="6 4"' if curve.side == "Dask" else ""
        style = f'stroke="{colour}" stroke-width="2" fill="none"{dash}'
        path = " ".join(f"{x(micros):.1f},{y(share):.1f}" for micros, share in curve.points)
        parts.append(f'<polyline points="{path}" {style}/>')
        parts += [
            f'<circle cx="{x(micros):.1f}" cy="{y(share):.1f}" r="3" fill="{colour}"/>'
            for micros, share in curve.points
        ]
        label = f"{curve.graph}, {curve.side}"
        if curve.crossing is not None:
            label += f": {curve.crossing:.0f} us"
            spot = f'cx="{x(curve.crossing):.1f}" cy="{y(0.5):.1f}"'
            parts.append(f'<circle {spot} r="6" fill="none" stroke="{colour}" stroke-width="2"/>')
        height = _TOP + 14 + 22 * row
        parts += [
            f'<line x1="{right + 12}" y1="{height - 4}" x2="{right + 40}" y2="{height - 4}" {style}/>',
            _text(right + 46, height, label),
        ]
    return "\n".join([*parts, "</g>", "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _rule(x1: float, y1: float, x2: float, y2: float, colour: str = "#ddd") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'
