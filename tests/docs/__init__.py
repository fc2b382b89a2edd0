"""Documents that are written from the program itself."""
