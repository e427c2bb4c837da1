"""Forecasting in plain Python: knows neither Dagster nor Ray."""
