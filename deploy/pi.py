"""Estimates pi on a cluster: many workers throw darts, one task counts the hits."""

from __future__ import annotations

import logging
import math
import random

from prefectlite import Flow, Parameter, task, unmapped

logger = logging.getLogger(__name__)


@task
def seeds(count: int) -> list[int]:
    return list(range(count))


@task
def throw_darts(seed: int, throws: int) -> int:
    source = random.Random(seed)
    return sum(source.random() ** 2 + source.random() ** 2 <= 1 for _ in range(throws))


@task
def estimate(hits: list[int], throws: int) -> str:
    pi = 4 * sum(hits) / (len(hits) * throws)
    logger.info("%d darts were thrown", len(hits) * throws)
    return f"pi is about {pi:.4f}, which is {abs(pi - math.pi):.4f} off"


with Flow("pi") as flow:
    throws = Parameter("throws", default=100_000, type=int)
    hits = throw_darts.map(seeds(Parameter("batches", default=8, type=int)), unmapped(throws))
    estimate(hits, throws)
