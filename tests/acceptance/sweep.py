"""A sweep over learning rates and numbers of steps: each fits a line through the same points."""

import csv
import math
from pathlib import Path

from prefectlite import Flow, Parameter, apply_map, case, flatten, merge, task, unmapped
from prefectlite.triggers import any_successful


def descend(points, slope, rate, steps):
    """Walk down the mean squared error; return the slope and the error there."""
    for _ in range(steps):
        slope += rate * sum(x * (y - slope * x) for x, y in points) / len(points)
    error = sum((y - slope * x) ** 2 for x, y in points) / len(points)
    return round(slope, 3), error


@task
def read_points(path):
    with Path(path).open(newline="") as file:
        return [(float(x), float(y)) for x, y in csv.reader(file)]


@task
def settings_of(rate, steps):
    return [(rate, number) for number in steps]


@task
def fit(setting, points):
    slope, error = descend(points, 0, *setting)
    if error > 1e6:
        raise OverflowError(f"rate {setting[0]} diverges")
    return slope, error


@task
def is_close(model):
    return model[1] < 0.01


@task
def go_on(model, points):
    return descend(points, model[0], rate=0.5, steps=5)


@task
def grade(model):
    return round(-math.log10(model[1] + 1e-9))


@task(trigger=any_successful)
def best(models, grades):
    known = [(mark, model) for mark, model in zip(grades, models, strict=True) if isinstance(mark, int)]
    _, (slope, _) = max(known)
    return slope


def fit_well(setting, points):
    first = fit(setting, points)
    with case(is_close(first), False):
        second = go_on(first, points)
    return merge(second, first)


with Flow("sweep") as flow:
    points = read_points(Parameter("points"))
    settings = settings_of.map(Parameter("rates", default=[0.01, 0.5, 9]), unmapped([2, 50]))
    models = apply_map(fit_well, flatten(settings), points=unmapped(points))
    slope = best(models, grade.map(models))

flow.set_reference_tasks([slope])

if __name__ == "__main__":
    flow.run(points="points.csv")
