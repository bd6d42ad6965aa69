"""What `rekku plugins new` copies: texts in which the words __NAME__, __CLASS__ and so on are replaced."""
