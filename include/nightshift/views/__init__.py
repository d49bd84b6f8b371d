"""What operators look at: the ledger's and the run folders' contents, put as a page shows them."""
