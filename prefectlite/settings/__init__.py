"""Settings: what a person says once for many flows. Knows files and variables; knows no flow.

A setting's value comes from the first of these that names it: an argument in code, as in
``flow.run(executor=...)``, ``set_temporary_config``, an environment variable, the configuration file, the
default. File and environment are read once per process, when the first setting is asked for. Workers read
none: what they need travels with the flow run.
"""

from prefectlite.settings.book import Config, Setting, config, current, set_temporary_config, told
from prefectlite.settings.schema import LoggingSettings, ResultSettings, Settings, TaskSettings

__all__ = [
    "Config",
    "LoggingSettings",
    "ResultSettings",
    "Setting",
    "Settings",
    "TaskSettings",
    "config",
    "current",
    "set_temporary_config",
    "told",
]
