"""Training over two sites with several codecs: runs, their curves, a table and a plot."""
