"""What the user declares: tasks, parameters, edges, the flow's graph. Knows neither engine, Dask nor driver.

``task``, ``parameter``, ``annotations`` and ``constants`` hold what stands in a graph, ``graph`` the
container, ``binding`` the way from a call's arguments to its edges, ``context`` what a body can ask about
its run.

Prefect 1 had the classes of tasks and flows under this name, and their modules as its attributes; here it
leads to where they are.
"""

from prefectlite.late import late_names

__getattr__ = late_names(
    __name__,
    {
        "Edge": "prefectlite.core.edge:Edge",
        "Flow": "prefectlite.flow:Flow",
        "Parameter": "prefectlite.core.parameter:Parameter",
        "Task": "prefectlite.core.base:Task",
        "edge": "prefectlite.core.edge",
        "flow": "prefectlite.core.flow",
        "parameter": "prefectlite.core.parameter",
        "task": "prefectlite.core.task",
    },
)
