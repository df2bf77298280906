"""Stacked bars over days, as SVG in a page.

Bars are placed in percent of the width, so that they fit every screen while their labels keep their size. They get
their colors from the CSS of the page, so that they also suit a dark screen.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

PLOT_HEIGHT, PLOT_TOP, PLOT_BOTTOM = 190, 14, 24
"""The height of a plot, and what of it is left free above and below the bars, in CSS pixels."""
PLOT_LEFT = 10.0
"""The part of the width that is left free for the labels of the lines, in percent."""
MAX_LINES, THOUSAND = 4, 1000


@dataclass(frozen=True, slots=True)
class Bar:
    """A piece of a bar. Places are percent of the width, and CSS pixels from the top."""

    series: str
    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class BarPlot:
    """Bars of one or several series over days, and what the template draws of them.

    Args:
        days: The days, the oldest first.
        series: The names of the series, the lowest first.
        values: By series, a value for each day.
        prefix: What is written before a number, such as `$`.
    """

    days: Sequence[date]
    series: Sequence[str]
    values: Mapping[str, Sequence[float]]
    prefix: str = ""

    @property
    def highest(self) -> float:
        """Return the height of the highest bar."""
        return max(sum(values) for values in zip(*(self.values[name] for name in self.series), strict=True))

    @property
    def step(self) -> float:
        """Return the distance of the lines: 1, 2 or 5 times a power of ten, so that at most four are above zero."""
        if self.highest <= 0:
            return 1.0
        power = 10.0 ** math.floor(math.log10(self.highest / MAX_LINES))
        step = next(power * factor for factor in (1, 2, 5, 10) if self.highest <= power * factor * MAX_LINES)
        return step if self.prefix else max(1.0, step)

    @property
    def top(self) -> float:
        """Return the value at the upper end of the plot."""
        return self.step * max(1, math.ceil(self.highest / self.step - 1e-9))

    def y(self, value: float) -> float:
        """Return where a value is, in pixels from the top."""
        return round(PLOT_HEIGHT - PLOT_BOTTOM - (PLOT_HEIGHT - PLOT_TOP - PLOT_BOTTOM) * value / self.top, 1)

    def lines(self) -> Iterator[tuple[float, str]]:
        """Yield the horizontal lines: where each is, and its label."""
        for number in range(round(self.top / self.step) + 1):
            value = number * self.step
            yield self.y(value), self.label(value)

    def label(self, value: float) -> str:
        """Return a number as it is written at a line: `1.5k`, `$0.50`, `$0.002`."""
        if value >= THOUSAND:
            return f"{self.prefix}{value / THOUSAND:g}k"
        decimals = max(2, -math.floor(math.log10(self.step))) if value and self.step < 1 else 0
        return f"{self.prefix}{value:.{decimals}f}"

    def bars(self) -> Iterator[Bar]:
        """Yield the pieces of all bars."""
        slot = (100 - PLOT_LEFT) / len(self.days)
        for index, day in enumerate(self.days):
            below = 0.0
            for name in self.series:
                value = self.values[name][index]
                if value > 0:
                    y, x = self.y(below + value), PLOT_LEFT + slot * index + slot * 0.14
                    title = f"{day:%-d %B}: {self.prefix}{value:,.6g} {name}"
                    yield Bar(name.replace(" ", "-"), round(x, 2), y, round(slot * 0.72, 2), self.y(below) - y, title)
                below += value

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Yield the days that are written below: every fourth, ending with today; where each is, and its label."""
        slot = (100 - PLOT_LEFT) / len(self.days)
        for index in range(len(self.days) - 1, -1, -4):
            yield round(PLOT_LEFT + slot * (index + 0.5), 2), f"{self.days[index]:%-d %b}"
