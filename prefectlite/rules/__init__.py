"""Pure decisions: functions from states to verdicts. Knows neither tasks, Dask, the clock nor I/O.

``verdict`` holds the answers that a rule can give, ``tally`` the counts that triggers read; every other
module here is one rule. Each answer says why, and what was read for it.
"""
