"""The service that answers in real time; it knows the forecasting part, and never Dagster."""
