"""Figures and the report, from functions and arrays."""
