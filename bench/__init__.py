"""Measurements of Commissaire, each a program of its own; `make bench` runs them."""
