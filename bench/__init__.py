"""How fast the product is, as ratios against its peers in the same run: `make bench`."""
