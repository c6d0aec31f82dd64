"""Runs longhaul over emulated lines of several unequal paths and between unequal sites, with and without faults."""
