"""The serializers of stored values, under the name that users import them by. Holds nothing itself."""

import sys

from prefectlite.results import formats
from prefectlite.results.formats import *  # noqa: F403  # a type checker does not see the next line

sys.modules[__name__] = formats
