"""The Dagster code location of the sales forecasting platform. Importing it imports nothing."""
