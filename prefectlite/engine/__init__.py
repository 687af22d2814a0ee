"""What must happen next: events in, instructions out. Knows rules; knows neither Dask nor the clock."""
