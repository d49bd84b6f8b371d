"""The app that validates at the door, answers, and remembers before it answers."""
