"""Waves, their spectra and features, and how they are heard again; knows no data set and no model."""
