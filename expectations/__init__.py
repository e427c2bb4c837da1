"""Great Expectations suites as code, one module for each checked table."""
