"""How fast the product is: beside bare decoding of the same frames and beside other programs, in the same run."""
