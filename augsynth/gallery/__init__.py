"""`augsynth preview --all`: every transform there is on one photograph, as a picture and as a page."""
