"""The cache validators, under the name that users import them by. Holds nothing itself."""

import sys

from prefectlite.rules import caching
from prefectlite.rules.caching import *  # noqa: F403  # a type checker does not see the next line

sys.modules[__name__] = caching
