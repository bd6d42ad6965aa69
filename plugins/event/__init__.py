"""Reminders: what is said about when and how often something is to come, and the actions on it."""
