"""The bridge between what the user declared and what a cluster runs. Knows both; knows neither executors nor driver."""
