"""A recorded turn once more, with the replies that were given then, against the plugins of today."""
