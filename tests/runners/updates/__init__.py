"""Tests of `runners/updates`."""
