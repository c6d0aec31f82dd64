"""Runs longhaul, a bare exchange and other libraries over emulated long-haul links, in turn, and compares them."""
