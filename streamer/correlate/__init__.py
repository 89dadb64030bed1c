"""Match → Firing → Alert: keys, windows, watermarks, episodes, limits. Pure: time is an argument."""
