"""What rows look like: profiles, the contract drawn from them, and how far a window has moved."""
