"""What the user declares: tasks, parameters, edges, the flow's graph. Knows neither engine, Dask nor driver.

``task``, ``parameter``, ``annotations`` and ``constants`` hold what stands in a graph, ``graph`` the
container, ``binding`` the way from a call's arguments to its edges, ``context`` what a body can ask about
its run.
"""
