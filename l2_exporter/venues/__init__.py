"""One file per company: how its frames are read and what its channels promise. Pure, like core."""
