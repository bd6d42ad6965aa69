"""Reading a model's reply without losing or guessing anything: from text to action envelopes. Pure."""
