"""The signals, at the path that they had in Prefect 1. Holds nothing itself."""

from prefectlite.states.signals import *  # noqa: F403
from prefectlite.states.signals import StateSignal

PrefectStateSignal = StateSignal
