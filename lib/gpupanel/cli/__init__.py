"""The commands of bin/gpupanel: functions that take a Shell and return the exit status."""
