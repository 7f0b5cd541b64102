"""The commands of bin/gpupanel: one module per command."""
