"""EEG: recordings, causal filters, epochs keyed on timestamps, synthetic EEG.

One path for data, live and offline: `brainloop.eeg.epochs.Epocher`. Nothing here knows of images.
"""
