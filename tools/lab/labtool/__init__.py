"""The command `lab`: network namespaces as hosts, emulated links between."""
