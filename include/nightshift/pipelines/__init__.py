"""The flows: each step reads files that earlier steps wrote, writes its own, returns one small value."""
