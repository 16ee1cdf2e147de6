"""Lightning integration."""
