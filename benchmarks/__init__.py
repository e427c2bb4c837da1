"""Speed, memory and accuracy, measured in one run; never asserted in tests."""
