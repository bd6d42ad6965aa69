"""Who might pretend to be a trainer, by which way, to what end; and an app in which all of it is tried."""
