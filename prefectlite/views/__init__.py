"""What people look at: progress, summaries, explanations, notebook pages. Knows neither driver nor Dask."""
