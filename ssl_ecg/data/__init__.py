"""From files of any data set to batches of windows."""
