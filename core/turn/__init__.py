"""The path of one message: what comes in, is asked, checked, authorized, run, committed and delivered."""
