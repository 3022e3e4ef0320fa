"""The tests, one folder per room of livebot."""
