"""The signals, under the name that users import them by. Holds nothing itself."""

import sys

from prefectlite.states import signals
from prefectlite.states.signals import *  # noqa: F403  # a type checker does not see the next line

sys.modules[__name__] = signals
