"""Measurements of Commissaire next to the bare parts that it is made of; `make bench` runs them."""
