"""Settings: what a person says once for many flows. Knows files and variables; knows no flow.

A setting's value comes from the first of these that names it: an argument in code, as in
``flow.run(executor=...)``, ``with context(config={...})``, ``set_temporary_config``,
``config.n_workers = 3``, an environment variable, the configuration file, the default. File and environment
are read once per process, when the first setting is asked for. Workers read none: what they need travels with
the flow run.
"""

from prefectlite.settings.book import (
    Config,
    Setting,
    amended,
    ask_first,
    config,
    current,
    lessened,
    set_temporary_config,
    told,
)
from prefectlite.settings.schema import (
    DaskSettings,
    FlowSettings,
    LoggingSettings,
    ResultSettings,
    Settings,
    TaskSettings,
)
from prefectlite.settings.section import Section, settings_in, to_travel

__all__ = [
    "Config",
    "DaskSettings",
    "FlowSettings",
    "LoggingSettings",
    "ResultSettings",
    "Section",
    "Setting",
    "Settings",
    "TaskSettings",
    "amended",
    "ask_first",
    "config",
    "current",
    "lessened",
    "set_temporary_config",
    "settings_in",
    "to_travel",
    "told",
]
