"""What was asked and answered, kept durably, and how right it turned out to be."""
