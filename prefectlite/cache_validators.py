"""The cache validators, under the name that users import them by. Holds nothing itself."""

import sys

import prefectlite.lowering.tokens  # noqa: F401  # it fills in what inputs are compared by
from prefectlite.rules import caching
from prefectlite.rules.caching import *  # noqa: F403  # a type checker does not see the next line

sys.modules[__name__] = caching
