"""All-reduces that are encoded between sites, over emulated long-haul lines."""
