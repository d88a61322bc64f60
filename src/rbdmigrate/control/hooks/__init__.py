"""Hooks: what they are told and asked, what their answers mean, when to try again."""
