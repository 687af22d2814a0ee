"""Values at rest and on their way: how they are pickled and weighed. Knows neither engine nor Dask."""
