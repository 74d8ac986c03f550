"""Diffusion in EDM's coordinates x = x0 + sigma eps: levels of noise, samplers, guidance."""
