"""The journal: every transition with its reason, written before the act. Knows neither places nor tasks."""
