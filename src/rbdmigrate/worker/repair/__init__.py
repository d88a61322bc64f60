"""Completing what an interrupted act left behind."""
