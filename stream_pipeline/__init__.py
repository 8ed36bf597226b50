"""A live session, from blocks of sound to events: what is recognised when, what is said of it, what is kept."""
