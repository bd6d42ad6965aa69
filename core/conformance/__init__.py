"""The conformance kit: what a component has to keep to, checked in a process of its own that harms nothing."""
