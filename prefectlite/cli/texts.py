"""What the program says of its commands. Knows none of them."""

from __future__ import annotations

from typing import Final

from prefectlite.settings.sources import DEFAULT_FILE, FILE_VARIABLE

RUN_HELP: Final = """Run a flow and show how it goes.

    FILE is a Python file that holds a flow at its top level. Without FILE and without -m, the flow that
    ships with prefectlite runs: a census of the Python code on this machine.

    \b
    Examples:
      prefectlite run                                the census, on a local cluster
      prefectlite run -p limit=200 --local           200 files of it, in this process
      prefectlite run etl.py -p date=2026-11-22      the flow in etl.py
      prefectlite run etl.py --flow nightly          one of several flows in a file
      prefectlite run -m shop.flows --param-file p.json
      prefectlite run etl.py --workers 8             a local cluster with 8 processes
      prefectlite run etl.py --address tcp://10.0.0.5:8786
      prefectlite run etl.py --scheduler-file /shared/scheduler.json
      prefectlite run etl.py --address tls://10.0.0.5:8786 --security ~/cluster-tls

    \b
    Exit status:
      0    the flow succeeded
      1    the flow failed
      2    it could not be run as asked: option, parameter, file or address
      75   it is unfinished: some of its tasks wait for approval
      130  it was interrupted by Ctrl-C
    """

DESCRIBE_HELP: Final = """Show what a flow consists of: its parameters, tasks and edges; nothing runs.

    FILE, -m and --flow are those of `prefectlite run`.

    \b
    Examples:
      prefectlite describe etl.py
      prefectlite describe -m shop.flows --flow nightly
      prefectlite describe etl.py --json | jq .parameters     the JSON schema of the parameters
    """

CONFIG_HELP: Final = f"""Show each setting, its value, and where that comes from.

    A value comes from the first of these that names it: an argument in code or on the command line, an
    environment variable (PREFECTLITE_RESULTS_INLINE_LIMIT for results.inline_limit), the configuration file
    ({DEFAULT_FILE}, or the one that {FILE_VARIABLE} names), the default. What is printed is TOML, fit for
    that file; the values of secrets are masked.
    """

SERVE_HELP: Final = """Run a flow at the times of its schedule, until there are no more or until Ctrl-C.

    FILE, -m and the other options are those of `prefectlite run`; the flow needs a schedule.

    \b
    Examples:
      prefectlite serve etl.py                       as the flow in etl.py says
      prefectlite serve etl.py -p city=Bergen --local
      prefectlite serve etl.py --catch-up latest     run at once if a start passed while a run went on
      prefectlite serve etl.py --max-instances 3     let runs overlap

    \b
    Exit status:
      0    the schedule is over, and every run succeeded
      1    the schedule is over, and some run did not succeed
      2    it could not be served as asked: option, parameter, file, schedule
      130  it was ended by Ctrl-C or SIGTERM
    """

DIAGNOSTICS_HELP: Final = """Print what a report of a bug should say of this machine, as JSON.

    Versions, platform, and which settings differ from the defaults and where that is said; no values, no
    names of machine or user. flow.diagnostics() tells the same of a flow.
    """
